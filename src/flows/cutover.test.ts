import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GiB, KiB, MiB } from '../base/index.ts';
import { diskFaults } from '../disk/index.ts';
import { normalise, subtract, totalBytes } from '../extents/index.ts';
import { coarse } from './cutover-cycles.ts';
import { forecastOf } from './cutover-plan.ts';
import { samplePieces } from './cutover-sample.ts';
import { CHANGED_KEPT_MAX } from './cutover-state.ts';
import { CHOICES, CutoverWorld } from './cutover-world.fixture.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-cutover-'));
after(() => rm(folder, { recursive: true }));
let worlds = 0;

async function world(): Promise<CutoverWorld> {
  const made = await CutoverWorld.open(join(folder, String((worlds += 1))), [512 * KiB + 512, 128 * KiB]);
  await made.writes();
  return made;
}

test('nothing is done before the plan is agreed to', async () => {
  const it = await world();
  it.agrees = false;
  await assert.rejects(it.cutOver({}), { code: 'CUTOVER_DECLINED' });
  assert.equal(await it.state(), undefined);
  assert.deepEqual([it.vm.state, it.vm.action, it.plan!.generation], ['running', 'if-it-ran', 1]);
  assert.equal((await it.cycle()).generation, 2);
});

test('to healthy, then committed: what it took is told, and the replica takes no cycle from then on', async () => {
  const it = await world();
  const healthy = await it.cutOver({});
  assert.equal(healthy.step, 'healthy');
  assert.ok(healthy.offSeconds! >= 0 && healthy.downtimeSeconds! >= healthy.offSeconds!);
  assert.ok(healthy.final!.changedBytes > 0, 'what the guest wrote while it went off');
  assert.equal(healthy.verified!.comparedBytes > healthy.final!.changedBytes, true);
  await assert.rejects(it.cycle(), { code: 'CUTOVER_OPEN' });
  await assert.rejects(it.cutOver({}), { code: 'CUTOVER_OPEN' });
  const committed = await it.resume({ commit: true });
  assert.equal(committed.step, 'committed');
  const rollback = (): Promise<unknown> => it.resume({ action: 'rollback' });
  for (const wrong of [() => it.cycle(), () => it.cutOver({}), () => it.resume(), rollback])
    await assert.rejects(wrong, { code: 'CUTOVER_COMMITTED' });
  assert.deepEqual([...it.watch.running], ['other side']);
});

test('taken back when healthy: its writes there are gone, the source runs, a new cutover may begin', async () => {
  const it = await world();
  await assert.rejects(it.resume(), { code: 'CUTOVER_NONE' });
  await it.cutOver({});
  await it.takeBack();
  assert.deepEqual([...it.watch.running], ['source']);
  await assert.rejects(it.resume(), { code: 'CUTOVER_NONE' });
  assert.equal((await it.cutOver({ commit: true })).step, 'committed');
  await it.assertHoldsSource('the second one');
  assert.deepEqual(it.watch.violations, []);
});

test('a VM that was off is cut over as it is, and stays off when that is taken back', async () => {
  const it = await world();
  it.vm.become('off');
  await it.cutOver({});
  await it.takeBack();
  assert.deepEqual([it.vm.state, it.vm.action], ['off', 'if-it-ran']);
});

test('a guest that does not go: told when its time is over; its cable is pulled only when that is allowed', async () => {
  for (const mode of ['hangs', 'cannot be asked'] as const) {
    const it = await world();
    it.vm.mode = mode;
    const code = mode === 'hangs' ? 'CUTOVER_STILL_ON' : 'HYPERV_SHUTDOWN_UNAVAILABLE';
    await assert.rejects(it.cutOver({}), { code });
    assert.deepEqual([(await it.state())!.step, it.vm.state], ['shutting-down', 'running']);
    it.mayTurnOff = true;
    const { step, turnedOff } = await it.resume();
    assert.deepEqual([step, turnedOff], ['healthy', true]);
    const { generation } = (await it.replica()).state;
    assert.equal(generation!.consistency.reached, 'crash', 'not more than it is');
  }
});

test('a run that dies as soon as the cable is pulled: what goes on from there does not call it a clean end (I9)', async () => {
  const it = await CutoverWorld.open(join(folder, String((worlds += 1))), [512 * KiB]);
  it.vm.mode = 'hangs';
  it.mayTurnOff = true;
  it.fate.startOver();
  await it.cutOver({});
  const at = it.fate.steps.findIndex((step) => step.includes('after turn off'));
  assert.ok(at > 0);
  await it.takeBack();
  await it.forgetCutover();
  await it.killedAt(at, () => it.cutOver({}));
  const { turnedOff } = await it.resume();
  assert.equal(turnedOff, true);
  assert.equal((await it.replica()).state.generation!.consistency.reached, 'crash');
});

test('a guest whose cable was pulled, that was started again and went by itself, ended cleanly', async () => {
  const it = await world();
  it.vm.mode = 'hangs';
  it.mayTurnOff = true;
  let pulled = 0;
  it.vm.beforePower = () => {
    if (it.vm.state !== 'off' || (pulled += 1) !== 1) return;
    it.vm.mode = 'ok';
    it.vm.become('running');
  };
  await assert.rejects(it.cutOver({}), { code: 'CUTOVER_SOURCE_RUNS' });
  assert.equal((await it.state())!.turnedOff, true);
  const { turnedOff } = await it.resume();
  assert.equal(turnedOff, undefined);
  assert.equal((await it.replica()).state.generation!.consistency.reached, 'offline');
});

test('somebody starts the source before the other side: nothing is started there; going on takes what was written', async () => {
  const it = await world();
  let answers = 0;
  it.vm.beforePower = () => void ((answers += 1) === 4 && it.vm.become('running'));
  await assert.rejects(it.cutOver({}), { code: 'CUTOVER_SOURCE_RUNS' });
  assert.deepEqual([...it.watch.running], ['source']);
  it.vm.beforePower = () => {};
  await it.writes();
  assert.equal((await it.resume({ commit: true })).step, 'committed');
  await it.assertHoldsSource('after it was started once more');
  assert.deepEqual(it.watch.violations, []);
});

test('started and stopped again behind our back, at any moment before the start there: what it wrote is not lost', async () => {
  for (let at = 4; ; at += 1) {
    const it = await world();
    let answers = 0;
    let meddled: Promise<void> | undefined;
    it.vm.beforePower = () => {
      if ((answers += 1) !== at || it.watch.running.has('other side')) return;
      it.vm.become('running');
      meddled = it.writes();
      it.vm.become('off');
    };
    const { step } = await it.cutOver({ commit: true });
    assert.equal(step, 'committed');
    if (!meddled) return assert.ok(at >= 9, `there were ${at - 4} moments`);
    await it.assertHoldsSource(`meddled with at look ${at}`);
  }
});

test('started and stopped again and again: told, after a few rounds; gone on with when that has an end', async () => {
  const it = await world();
  it.vm.beforePower = () => {
    if (it.vm.state !== 'off') return;
    it.vm.become('running');
    void it.writes();
    it.vm.become('off');
  };
  await assert.rejects(it.cutOver({}), { code: 'CUTOVER_SOURCE_UNSTEADY' });
  assert.equal(it.hypervisor.machines.size, 0);
  it.vm.beforePower = () => {};
  await it.resume({ commit: true });
  await it.assertHoldsSource('at last');
});

test('a host that takes a checkpoint for a change of state costs a second round, which finds nothing', async () => {
  const it = await world();
  it.vm.checkpointsCount = true;
  const { step, final } = await it.cutOver({ commit: true });
  assert.deepEqual([step, final!.rounds], ['committed', 2]);
  assert.ok(final!.changedBytes > 0, 'of both rounds');
  await it.assertHoldsSource('with a host that counts checkpoints');
});

test('a target that is full, or gone, when the source is off already: nothing is lost, and both ways are open', async () => {
  for (const [call, next] of [
    ['openDisk', 'resume'],
    ['openDisk', 'rollback'],
    ['prepare', 'resume'],
    ['prepare', 'rollback'],
  ] as const) {
    const it = await world();
    const works = it.target[call].bind(it.target);
    const full = (): Promise<never> => Promise.reject(diskFaults.noSpace({ path: 'memory' }));
    it.target[call] = (...args: never[]) =>
      it.vm.state === 'off' ? full() : (works as (...args: never[]) => never)(...args);
    await assert.rejects(it.cutOver({}), { code: 'DISK_NO_SPACE' });
    assert.deepEqual([(await it.state())!.step, it.vm.state], ['final-delta', 'off']);
    if (next === 'rollback') {
      await it.takeBack();
      assert.equal(it.vm.state, 'running');
    } else {
      Object.assign(it.target, { [call]: works });
      assert.equal((await it.resume({ commit: true })).step, 'committed');
    }
    await it.cycle().catch((error: unknown) => assert.match(String(error), /cut over/));
    await it.assertHoldsSource(`${call}, ${next}`);
  }
});

test('started on its host while the other side runs: that one is stopped at once, and going on takes the source as it is', async () => {
  const it = await world();
  await it.cutOver({});
  it.vm.become('running');
  await it.writes();
  await assert.rejects(it.resume({ commit: true }), { code: 'CUTOVER_BOTH_RAN' });
  assert.deepEqual([...it.watch.running], ['source']);
  await it.resume({ commit: true });
  await it.assertHoldsSource('after both ran');
  assert.deepEqual([...it.watch.running], ['other side']);
});

test('a machine that does not become healthy is told of, and taken back or looked at again', async () => {
  const it = await world();
  it.hypervisor.startsAs = 'paused';
  await assert.rejects(it.cutOver({}), { code: 'CUTOVER_UNHEALTHY' });
  assert.equal((await it.state())!.step, 'probing');
  await it.takeBack();
  assert.deepEqual([it.vm.state, it.hypervisor.machines.size], ['running', 0]);
});

test('a hypervisor that is gone: the source stays off while the machine may run there, and is started when it never did', async () => {
  const it = await world();
  await it.cutOver({});
  it.hypervisor.isGone = true;
  await assert.rejects(it.takeBack(), /cannot be reached/);
  assert.equal(it.vm.state, 'off');
  it.hypervisor.isGone = false;
  await it.takeBack();
  assert.equal(it.vm.state, 'running');

  const never = await world();
  never.hypervisor.define = () => Promise.reject(new Error('full'));
  await assert.rejects(never.cutOver({}), /full/);
  never.hypervisor.isGone = true;
  await never.takeBack();
  assert.equal(never.vm.state, 'running');
});

test('a replica that is not what the source holds is not started', async () => {
  for (const verify of ['sample', 'full'] as const) {
    const it = await world();
    it.hypervisor.prepare = async () => {
      // In a block that the last delta does not touch.
      const { id } = it.vm.disks[0]!;
      const generation = it.target.contentOf(id);
      await generation.write(300 * KiB, Buffer.from('damaged'));
      await it.vm.write(0, 300 * KiB + 4096, Buffer.alloc(512, 9));
      for (const { changed } of it.vm.disks) for (const extents of changed.values()) extents.pop();
      return [];
    };
    await assert.rejects(it.cutOver({ choices: { ...CHOICES, verify } }), { code: 'CUTOVER_VERIFY_FAILED' });
    assert.equal(it.hypervisor.machines.size, 0);
    await it.takeBack();
    assert.equal(it.vm.state, 'running');
  }
});

test('the forecast goes by cycles as small as the last one is going to be, and by how rehearsals started', () => {
  const about = { generation: 1, time: '', readBytes: 0 };
  const cycle = (kind: 'delta' | 'other', changedBytes: number, seconds: number) => ({
    ...about,
    kind,
    changedBytes,
    seconds,
  });
  const cycles = [cycle('other', 9 * MiB, 90), cycle('delta', 5 * MiB, 50), cycle('delta', 3, 3)];
  assert.deepEqual(forecastOf([...cycles, cycle('delta', 1, 1)], MiB)!.seconds, [1, 3, 3]);
  assert.deepEqual(forecastOf(cycles.slice(0, 2), MiB)!.seconds, [50, 50, 50]);
  assert.equal(forecastOf(cycles.slice(0, 1), MiB), undefined);
  const rehearsals = [
    { seconds: { clone: 1, start: 2, health: 10 } },
    { seconds: { clone: 1, start: 1, health: 8 } },
  ];
  assert.deepEqual(forecastOf(cycles, MiB, rehearsals)!.wellSeconds, [13, 16, 16]);
  assert.equal(forecastOf(cycles, MiB)!.wellSeconds, undefined);
});

test('ranges that are too many to keep are taken together, and none is lost', () => {
  const scattered = Array.from({ length: 40_000 }, (_, n) => ({
    offset: n * 131_072 + (n % 7) * 512,
    length: 512,
  }));
  const kept = coarse(scattered.slice(0, 100), scattered);
  assert.equal(kept.length, CHANGED_KEPT_MAX);
  assert.deepEqual(subtract(normalise(scattered), kept), []);
  assert.deepEqual(coarse([], []), []);
  assert.deepEqual(coarse([], [{ offset: 5, length: 1 }]), [{ offset: 5, length: 1 }]);
});

test('64 MiB that changed in a thousand places of a large disk are kept as they are; of more places the smallest gaps are taken in', () => {
  const spread = Array.from({ length: 1024 }, (_, n) => ({ offset: n * GiB, length: 64 * KiB }));
  assert.deepEqual(coarse([], spread), spread);
  const near = Array.from({ length: CHANGED_KEPT_MAX }, (_, n) => ({ offset: n * 8192, length: 4096 }));
  const far = spread.map(({ offset, length }) => ({ offset: offset + GiB, length }));
  const kept = coarse(near, far);
  assert.deepEqual(kept.slice(-far.length), far);
  assert.ok(totalBytes(kept) < totalBytes(near) * 2 + totalBytes(far));
});

test('each piece is drawn as often as any other, and no more than there are', async () => {
  const extents = [
    { offset: 3, length: 1 },
    { offset: 10, length: 35 },
    { offset: 100, length: 300 },
  ];
  const drawn = new Map<number, number>();
  for (let time = 0; time < 4000; time += 1)
    for (const { offset } of await samplePieces(extents, { count: 5, pieceBytes: 10 }))
      drawn.set(offset, (drawn.get(offset) ?? 0) + 1);
  assert.equal(drawn.size, 1 + 4 + 30);
  // 4000 × 5 / 35 = 571 each; six standard deviations are 133.
  for (const [offset, times] of drawn) assert.ok(Math.abs(times - 571) < 133, `${offset}: ${times}`);
  const few = await samplePieces(extents, { count: 100, pieceBytes: 10 });
  assert.equal(
    few.reduce((sum, { length }) => sum + length, 0),
    336,
  );
});
