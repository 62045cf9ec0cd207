/** Jobs as clients see them, on a clock that stands still until it is told to go on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../../src/base/index.ts';
import {
  LabConnectionDrop,
  LabWmiError,
  type LabInstance,
  type LabMethodResult,
  type LabPath,
} from '../cim.ts';
import { ManualClock } from './clock.ts';
import { call, CALLER, jobOf, rows, testHost } from './host.fixture.ts';
import type { LabHost } from './host.ts';
import { systemPath } from './object-paths.ts';
import type { Misbehaviour } from './rehearsal.ts';

const SLOW = { job: { newMs: 10, startingMs: 10, runningMs: 100 } };

interface Stage {
  readonly host: LabHost;
  readonly clock: ManualClock;
  readonly vmId: string;
  [Symbol.asyncDispose](): Promise<void>;
}

async function stage(): Promise<Stage> {
  const clock = new ManualClock();
  const test = await testHost({ mergeDelayMs: 0 }, { clock });
  const { id } = await test.host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  await test.host.settle();
  await test.host.configure(SLOW);
  return {
    host: test.host,
    clock,
    vmId: id,
    async [Symbol.asyncDispose]() {
      await test.host.configure({ job: { newMs: 0, startingMs: 0, runningMs: 0 } });
      const closing = test[Symbol.asyncDispose]();
      await clock.advance(1_000_000);
      await closing;
    },
  };
}

function snapshot({ host, vmId }: Stage): Promise<LabMethodResult> {
  return call(host, 'CreateSnapshot', { AffectedSystem: systemPath(vmId), SnapshotType: 32768 });
}

/** Moves the clock until the job is in `state`; work on real files takes turns of its own. */
async function until({ host, clock }: Stage, answer: LabMethodResult, state: number): Promise<LabInstance> {
  for (;;) {
    const job = await jobOf(host, answer);
    if (job?.properties['JobState'] === state) return job;
    await clock.advance(1);
    await new Promise(setImmediate);
  }
}

async function effectsOf(host: LabHost, answer: LabMethodResult): Promise<number[]> {
  const id = (answer.out['Job'] as LabPath).keys['InstanceID'];
  return (await rows(host, 'Msvm_AffectedJobElement'))
    .filter((row) => (row['AffectingElement'] as LabPath).keys['InstanceID'] === id)
    .map((row) => (row['ElementEffects'] as number[])[0]!);
}

test('4096 comes with the job alone; states go 2, 3, 4, 7; the created row appears only at the end', async () => {
  await using it = await stage();
  const answer = await snapshot(it);
  assert.equal(answer.returnValue, 4096);
  assert.deepEqual(Object.keys(answer.out), ['Job']);
  assert.equal((await jobOf(it.host, answer))?.properties['JobState'], 2);
  await until(it, answer, 3);
  const running = await until(it, answer, 4);
  assert.deepEqual(running.properties['OperationalStatus'], [2]);
  assert.equal(running.properties['PercentComplete'], 0);
  assert.deepEqual(await effectsOf(it.host, answer), [0]);
  assert.equal((await it.host.vm(it.vmId)).busy, 32768);
  const done = await until(it, answer, 7);
  assert.deepEqual(done.properties['OperationalStatus'], [17, 2]);
  assert.equal(done.properties['PercentComplete'], 100);
  assert.equal(done.properties['ErrorCode'], 0);
  assert.equal(done.properties['ErrorDescription'], '');
  assert.deepEqual(await effectsOf(it.host, answer), [0, 5]);
  assert.equal((await it.host.vm(it.vmId)).busy, undefined);
  const jobs = await rows(it.host, 'Msvm_AffectedJobElement');
  assert.ok(jobs.length > 2, 'rows of other jobs are in the same table');
});

test('a finished job is gone after its time, and its rows with it; what it did stays', async () => {
  await using it = await stage();
  const answer = await snapshot(it);
  await until(it, answer, 7);
  await it.clock.advance(300_001);
  assert.equal(await jobOf(it.host, answer), undefined);
  assert.deepEqual(await effectsOf(it.host, answer), []);
  assert.equal((await it.host.vm(it.vmId)).checkpoints.length, 1);
});

test('texts are those of the host language, whoever asks', async () => {
  await using it = await stage();
  const japanese = await until(it, await snapshot(it), 7);
  assert.equal(japanese.properties['JobStatus'], 'ジョブは完了しました');
  await it.host.configure({ language: 'en-US' });
  assert.equal((await rows(it.host, 'Msvm_ConcreteJob')).at(-1)!['JobStatus'], 'Job is completed');
});

const REHEARSED: readonly [Misbehaviour, state: number, checkpoints: number][] = [
  [{ kind: 'fail-job', code: 32769 }, 10, 0],
  [{ kind: 'fail-job', code: 32769, afterEffect: true }, 10, 1],
  [{ kind: 'warn-job' }, 32768, 1],
];

for (const [misbehaviour, state, checkpoints] of REHEARSED) {
  test(`rehearsed ${JSON.stringify(misbehaviour)}: state ${state}, ${checkpoints} checkpoint, and only once`, async () => {
    await using it = await stage();
    await it.host.addFault({ method: 'CreateSnapshot', misbehaviour });
    const answer = await snapshot(it);
    const job = await until(it, answer, state);
    assert.equal(job.properties['ErrorCode'], state === 10 ? 32769 : 0);
    assert.equal((await it.host.vm(it.vmId)).checkpoints.length, checkpoints);
    const errors = await it.host.provider.invoke(answer.out['Job'] as LabPath, 'GetErrorEx', {}, CALLER);
    const [error] = (errors.out['Errors'] ?? []) as LabInstance[];
    assert.equal(error?.className, state === 10 ? 'Msvm_Error' : undefined);
    if (checkpoints === 0) await until(it, await snapshot(it), 7);
  });
}

test('a job that vanishes leaves its effect and no trace', async () => {
  await using it = await stage();
  await it.host.addFault({ method: 'CreateSnapshot', misbehaviour: { kind: 'vanish-job' } });
  const answer = await snapshot(it);
  while (await jobOf(it.host, answer)) {
    await it.clock.advance(1);
    await new Promise(setImmediate);
  }
  assert.equal((await it.host.vm(it.vmId)).checkpoints.length, 1);
});

test('a stuck job runs until it is cancelled, and then nothing was done', async () => {
  await using it = await stage();
  await it.host.addFault({ method: 'CreateSnapshot', misbehaviour: { kind: 'stick-job' } });
  const answer = await snapshot(it);
  await until(it, answer, 4);
  await it.clock.advance(3_600_000);
  assert.equal((await jobOf(it.host, answer))?.properties['JobState'], 4);
  const path = answer.out['Job'] as LabPath;
  const cancelled = await it.host.provider.invoke(path, 'RequestStateChange', { RequestedState: 4 }, CALLER);
  assert.equal(cancelled.returnValue, 0);
  await until(it, answer, 8);
  assert.equal((await it.host.vm(it.vmId)).checkpoints.length, 0);
  const again = await it.host.provider.invoke(path, 'RequestStateChange', { RequestedState: 5 }, CALLER);
  assert.equal(again.returnValue, 32775);
});

test('a connection that drops before the effect leaves nothing, after it everything', async () => {
  await using it = await stage();
  for (const [when, checkpoints] of [
    ['before', 0],
    ['after', 1],
  ] as const) {
    await it.host.addFault({ method: 'CreateSnapshot', misbehaviour: { kind: 'drop', when } });
    await assert.rejects(snapshot(it), LabConnectionDrop);
    await it.clock.advance(1000);
    while ((await rows(it.host, 'Msvm_ConcreteJob')).some((job) => Number(job['JobState']) < 7)) {
      await it.clock.advance(10);
      await new Promise(setImmediate);
    }
    assert.equal((await it.host.vm(it.vmId)).checkpoints.length, checkpoints);
  }
});

test('rules count: after so many calls, so many times; numbers, WMI errors and delays', async () => {
  await using it = await stage();
  const list = (): Promise<unknown> => it.host.provider.instances('Msvm_ComputerSystem', CALLER);
  await it.host.addFault({
    method: 'Enumerate Msvm_ComputerSystem',
    misbehaviour: { kind: 'wmi-error', status: 0x80041003 },
    after: 1,
    times: 2,
  });
  await list();
  const isDenied = (error: unknown): boolean => error instanceof LabWmiError && error.status === 0x80041003;
  await assert.rejects(list(), isDenied);
  await assert.rejects(list(), isDenied);
  await list();
  await it.host.addFault({ method: 'CreateSnapshot', misbehaviour: { kind: 'return', code: 32769 } });
  assert.equal((await snapshot(it)).returnValue, 32769);
  await it.host.addFault({ method: 'CreateSnapshot', misbehaviour: { kind: 'delay', milliseconds: 5000 } });
  let answered = false;
  const late = snapshot(it).then((answer) => {
    answered = true;
    return answer;
  });
  await it.clock.advance(4999);
  assert.equal(answered, false);
  await it.clock.advance(1);
  await until(it, await late, 7);
  await it.host.addFault({ method: 'CreateSnapshot', misbehaviour: { kind: 'return', code: 1 } });
  await it.host.clearFaults();
  assert.notEqual((await snapshot(it)).returnValue, 1);
});

test('a new checkpoint may be missing from listings for a while, and is at once where its job points', async () => {
  await using it = await stage();
  await it.host.configure({ listingDelayMs: 15_000 });
  await until(it, await snapshot(it), 7);
  assert.equal((await rows(it.host, 'Msvm_SnapshotOfVirtualSystem')).length, 0);
  assert.equal((await rows(it.host, 'Msvm_VirtualSystemSettingData')).length, 2);
  await it.clock.advance(15_000);
  assert.equal((await rows(it.host, 'Msvm_SnapshotOfVirtualSystem')).length, 1);
});
