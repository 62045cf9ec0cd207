import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandLine } from '../command-line.fixture.ts';
import { replicaFaults } from '../../flows/replicate-faults.ts';
import { targetFaults } from '../../targets/index.ts';
import { hypervFaults } from '../../hyperv/index.ts';
import type { Engine } from '../engine.ts';
import type { ReplicaSummary, ReplicateCall, RollReplicaCall } from '../replicate-port.ts';

test('a relative folder becomes one place, and each disk is told of', async () => {
  await using line = await CommandLine.open();
  const run = await line.run(['replicate', 'web01', '--to', 'dir:./r?format=vhdx', '--every', '5m']);
  assert.equal(run.code, 0, run.stderr);
  const { target, everySeconds, stateFolder, seed } = run.calls.find(({ call }) => call === 'replicate')!
    .request as ReplicateCall;
  assert.equal(target, `dir:${join(line.home, 'r')}?format=vhdx`);
  assert.deepEqual([everySeconds, stateFolder, seed], [300, undefined, undefined]);
  assert.match(run.stdout, /^web01: generation 2, as of .*, in 0:05, consistency application/);
  assert.match(run.stdout, /web01-disk1\.raw +delta +64 GiB +3 MiB +2 MiB +1 MiB/);
});

test('NBD addresses stay as they are; --seed takes "existing" or a restore point of a repository', async () => {
  await using line = await CommandLine.open();
  const to = ['--to', 'nbd://host/x-{n}', '--state', 's'];
  const callOf = async (...seed: string[]): Promise<ReplicateCall> => {
    const run = await line.run(['replicate', 'web01', ...to, ...seed, '--json']);
    assert.equal(run.json().cycles[0].outcome, 'success');
    return run.calls.find(({ call }) => call === 'replicate')!.request as ReplicateCall;
  };
  const call = await callOf('--seed', 'existing');
  assert.deepEqual(
    [call.target, call.seed, call.stateFolder],
    ['nbd://host/x-{n}', 'existing', join(line.home, 's')],
  );
  const { seed } = await callOf('--seed', 'latest');
  assert.ok(typeof seed === 'object');
  assert.deepEqual(seed.point, { kind: 'latest', vm: 'web01' });
  const byId = (await callOf('--seed', 'a1b2')).seed;
  assert.ok(typeof byId === 'object');
  assert.deepEqual(byId.point, { kind: 'id', id: 'a1b2' });
});

test('a cycle that failed is in the document with its error, and decides the exit code', async () => {
  await using line = await CommandLine.open();
  const error = targetFaults.diskMissing({ place: '/r/web01-disk1.raw' });
  const run = await line.run(['replicate', 'web01', '--to', 'dir:/r', '--json'], {
    engine: {
      async *replicate({ vm, target }) {
        const times = { startedAt: '2026-11-23T08:00:00Z', finishedAt: '2026-11-23T08:00:01Z', seconds: 1 };
        yield { vm: { name: vm }, target, ...times, disks: [], warnings: [], error };
      },
    },
  });
  assert.equal(run.code, 2);
  assert.equal(run.json().cycles[0].error.code, 'TARGET_DISK_MISSING');
  assert.match(run.stderr, /^error TARGET_DISK_MISSING/m);
});

test('a cycle that waits for a rehearsal says so, and may be tried again', async () => {
  await using line = await CommandLine.open();
  const error = replicaFaults.rehearsed({ generation: 2, next: 3, replica: '0011' });
  const times = { startedAt: '2026-11-23T08:00:00Z', finishedAt: '2026-11-23T08:00:01Z', seconds: 1 };
  const run = await line.run(['replicate', 'web01', '--to', 'dir:/r'], {
    engine: {
      async *replicate({ vm, target }) {
        yield { vm: { name: vm }, target, ...times, disks: [], warnings: [], error };
      },
    },
  });
  assert.equal(run.code, 75);
  assert.match(run.stdout, /^web01: the cycle waits for the end of a rehearsal\n/);
});

test('how many generations are kept is a whole number, and asked for as it was said', async () => {
  await using line = await CommandLine.open();
  const run = await line.run(['replicate', 'web01', '--to', 'dir:/r', '--keep', '8']);
  assert.equal((run.calls.find(({ call }) => call === 'replicate')!.request as { keep?: number }).keep, 8);
  for (const keep of ['0', '1001', '1.5', '-1', 'all'])
    assert.equal((await line.run(['replicate', 'web01', '--to', 'dir:/r', `--keep=${keep}`])).code, 64);
});

test('through a repository: it is named as for --repo, with its consumer; a restore point to begin with does not go with it', async () => {
  await using line = await CommandLine.open();
  const to = ['replicate', 'web01', '--to', 'dir:/r'];
  const run = await line.run([...to, '--via', 'main', '--consumer', 'nightly', '--rate', '20MiB']);
  assert.equal(run.code, 0, run.stderr);
  const call = run.calls.find((each) => each.call === 'replicate')!.request as ReplicateCall;
  assert.deepEqual([call.via?.name, call.consumer, call.bytesPerSecond], ['main', 'nightly', 20 * 1024 ** 2]);
  const without = await line.run(to);
  assert.ok(!('via' in (without.calls.find((each) => each.call === 'replicate')!.request as object)));
  for (const options of [
    ['--via', 'main', '--seed', 'latest'],
    ['--consumer', 'nightly'],
    ['--rate', 'fast'],
  ])
    assert.equal((await line.run([...to, ...options])).code, 64, options.join(' '));
});

test('a cycle that is tried again says when, in words and in the document', async () => {
  await using line = await CommandLine.open();
  const times = { startedAt: '2026-11-23T08:00:00Z', finishedAt: '2026-11-23T08:00:01Z', seconds: 1 };
  const error = hypervFaults.vmMoved({ vm: 'web01', from: 'HV01', to: 'HV02' });
  const engine: Partial<Engine> = {
    async *replicate({ vm, target }) {
      yield { vm: { name: vm }, target, ...times, disks: [], warnings: [], error, nextInSeconds: 20 };
    },
  };
  const argv = ['replicate', 'web01', '--to', 'dir:/r', '--every', '5m'];
  const run = await line.run(argv, { engine });
  assert.equal(run.code, 75);
  assert.match(run.stdout, /^web01: tried again in 0:20$/m);
  const [cycle] = (await line.run([...argv, '--json'], { engine })).json().cycles;
  assert.deepEqual([cycle.error.code, cycle.nextInSeconds], ['HYPERV_VM_MOVED', 20]);
});

test('replica roll: to a restore point or to a generation that is kept, one of them', async () => {
  await using line = await CommandLine.open();
  const roll = async (...argv: string[]) => {
    const run = await line.run(['replica', 'roll', 'web01', ...argv]);
    assert.equal(run.code, 0, run.stderr);
    return { run, call: run.calls.find(({ call }) => call === 'rollReplica')!.request as RollReplicaCall };
  };
  const back = await roll('--generation', '31');
  assert.deepEqual(back.call.to, { generation: 31 });
  assert.match(back.run.stdout, /^web01: generation 3 is generation 31 again, as of /);
  const { call, run } = await roll('--point', 'a1b2', '--repo', 'main');
  assert.ok('point' in call.to);
  assert.deepEqual(call.to.point, { kind: 'id', id: 'a1b2' });
  assert.match(
    run.stdout,
    /is restore point a1b2.*\n.*disk1\.raw: delta, 3 MiB read, 2 MiB written, 1 MiB zeroed/,
  );
  for (const argv of [[], ['--point', 'a', '--generation', '1'], ['--generation', '0']])
    assert.equal((await line.run(['replica', 'roll', 'web01', ...argv])).code, 64);
});

test('an interval is a number with its unit, within bounds', async () => {
  await using line = await CommandLine.open();
  for (const every of ['5', '5d', '9s', '169h', '-5m', '1.5h'])
    assert.equal((await line.run(['replicate', 'web01', '--to', 'dir:/r', `--every=${every}`])).code, 64);
});

test('replica list, show and remove: what is known of each; the host is asked unless it is gone', async () => {
  await using line = await CommandLine.open();
  const list = await line.run(['replica', 'list']);
  assert.match(list.stdout, /00112233aabbccdd {2}web01 +2 {2}2026-11-23 08:00:00Z {2}complete/);
  const none = await line.run(['replica', 'list'], { engine: { replicas: async () => [] } });
  assert.equal(none.stdout, 'no replica has its state here\n');
  const show = await line.run(['replica', 'show', 'web01']);
  assert.match(show.stdout, /reference points on the host: rp-2/);
  const [summary] = await line.run(['replica', 'list', '--json']).then((each) => each.json().replicas);
  const time = '2026-11-23T07:00:00.000Z';
  const rolled: ReplicaSummary = {
    ...summary,
    phase: 'rolling',
    generation: { ...summary.generation, number: 3, rolledTo: 1 },
    kept: [1, 2].map((number) => ({ number, time })),
  };
  const { stdout } = await line.run(['replica', 'show', 'web01'], {
    engine: { showReplica: async () => rolled },
  });
  assert.match(
    stdout,
    /generation 3, which is 1 again, as of .*; complete with what the target keeps of it$/m,
  );
  assert.match(stdout, /kept generations: 1 \(2026-11-23 07:00:00Z\), 2 \(2026-11-23 07:00:00Z\)$/m);
  for (const [argv, asked] of [
    [[], true],
    [['--keep-mark'], false],
  ] as const) {
    const run = await line.run(['replica', 'remove', 'web01', ...argv]);
    const { request } = run.calls.find(({ call }) => call === 'removeReplica')!;
    assert.equal('host' in (request as object), asked);
    assert.match(run.stdout, /stays:\n {2}\/replicas\/web01-disk1\.raw\n/);
  }
});
