import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import type { Extent } from '../extents/index.ts';
import type { HyperV } from './hyperv.ts';
import { changedBlocks, enableTracking, resetTracking } from './rct.ts';
import { underEveryDisturbance, type PrepareRig } from './testing/disturbances.fixture.ts';
import { rig, type Rig } from './testing/rig.fixture.ts';

const asked = { consistency: 'crash', name: 'hvlift rct run' } as const;
const prepare: PrepareRig = ({ host }) => {
  const vm = host.addVm('web');
  host.addDisk(vm, 'C:\\VMs\\a.vhdx');
  host.addDisk(vm, 'C:\\VMs\\b.vhdx');
};
const vmId = ({ host }: Rig): string => host.vms[0]!.guid.toLowerCase();

/** The host with changes that name what was asked, so that a test sees which id met which file. */
function tellingChanges(hyperv: HyperV, told: string[]): HyperV {
  return {
    ...hyperv,
    async *changedExtents(path, rctId) {
      told.push(`${rctId} of ${path}`);
      yield { offset: 0, length: 1 };
    },
  };
}

test('enabling leaves one reference point for all disks, and no checkpoint', async () => {
  const made = rig();
  prepare(made);
  const point = await enableTracking(made.hyperv, vmId(made), asked);
  const [vm] = made.host.vms;
  assert.deepEqual(
    vm!.points.map((one) => one.id),
    [point.instanceId],
  );
  assert.equal(point.disks.length, 2);
  assert.equal(vm!.checkpoints.length, 0);
});

test('whatever breaks while tracking is enabled, no checkpoint of ours stays', async () => {
  const runs = await underEveryDisturbance(prepare, async (run) => {
    const point = await run.disturbed(() =>
      enableTracking(run.hyperv, vmId(run), { ...asked, signal: run.signal }),
    );
    run.clock.nowMs += 3_600_000;
    run.host.tick();
    const [vm] = run.host.vms;
    assert.deepEqual(vm!.checkpoints, [], run.name);
    if (point)
      assert.deepEqual(
        vm!.points.map((one) => one.id),
        [point.instanceId],
        run.name,
      );
  });
  assert.ok(runs > 20, `${runs} runs`);
});

test('changes are asked of the frozen files, each disk with its own id, and the checkpoint goes afterwards', async () => {
  const made = rig();
  prepare(made);
  const point = await enableTracking(made.hyperv, vmId(made), asked);
  made.clock.nowMs += 1000;
  const told: string[] = [];
  const [vm] = made.host.vms;
  {
    const hyperv = tellingChanges(made.hyperv, told);
    await using changes = await changedBlocks(hyperv, vmId(made), point.instanceId.toUpperCase(), asked);
    assert.deepEqual(
      vm!.checkpoints.map((one) => one.name),
      [asked.name],
    );
    for (const disk of changes.disks) await Array.fromAsync(disk.extents);
    assert.deepEqual(
      changes.disks.map((disk) => disk.tracked),
      [true, true],
    );
    assert.deepEqual(
      changes.disks.map((disk) => disk.attachmentId),
      point.disks.map((one) => one.attachmentId),
    );
  }
  assert.deepEqual(told, [
    `${point.disks[0]!.rctId} of C:\\VMs\\a.vhdx`,
    `${point.disks[1]!.rctId} of C:\\VMs\\b.vhdx`,
  ]);
  assert.equal(vm!.checkpoints.length, 0);
});

test('disks that changed places are still asked about by what they are; the host judges the swapped ids', async () => {
  const made = rig();
  prepare(made);
  const point = await enableTracking(made.hyperv, vmId(made), asked);
  const [a, b] = made.host.vms[0]!.disks;
  [a!.slot, b!.slot] = [b!.slot, a!.slot];
  const told: string[] = [];
  await using changes = await changedBlocks(
    tellingChanges(made.hyperv, told),
    vmId(made),
    point.instanceId,
    asked,
  );
  for (const disk of changes.disks) await Array.fromAsync(disk.extents);
  // The id kept for a place meets the disk that is in the place now, exactly as the host resolves it.
  assert.deepEqual(
    told.sort(),
    [`${point.disks[0]!.rctId} of C:\\VMs\\b.vhdx`, `${point.disks[1]!.rctId} of C:\\VMs\\a.vhdx`].sort(),
  );
});

test('a disk the reference point does not know is changed altogether', async () => {
  const made = rig();
  prepare(made);
  const point = await enableTracking(made.hyperv, vmId(made), asked);
  made.host.addDisk(made.host.vms[0]!, 'C:\\VMs\\new.vhdx', { slot: 9 });
  await using changes = await changedBlocks(
    tellingChanges(made.hyperv, []),
    vmId(made),
    point.instanceId,
    asked,
  );
  const added = changes.disks.find((disk) => disk.path === 'C:\\VMs\\new.vhdx')!;
  assert.equal(added.tracked, false);
  const extents: Extent[] = await Array.fromAsync(added.extents);
  assert.deepEqual(extents, [{ offset: 0, length: added.size }]);
});

test('an unknown reference point is refused before anything is frozen', async () => {
  const made = rig();
  prepare(made);
  await assert.rejects(changedBlocks(made.hyperv, vmId(made), 'nothing', asked), (error) =>
    hasCode(error, 'HYPERV_REFERENCE_POINT_NOT_FOUND'),
  );
  assert.deepEqual(
    made.session.calls.filter((call) => call.startsWith('invoke')),
    [],
  );
});

test('when looking at the disks fails, the checkpoint is removed before the fault is told', async () => {
  const made = rig();
  prepare(made);
  const point = await enableTracking(made.hyperv, vmId(made), asked);
  made.host.files.clear();
  await assert.rejects(changedBlocks(made.hyperv, vmId(made), point.instanceId, asked), (error) =>
    hasCode(error, 'HYPERV_DISK_MISSING'),
  );
  assert.equal(made.host.vms[0]!.checkpoints.length, 0);
});

test('resetting removes the points it is told, in any spelling, and no others', async () => {
  const made = rig();
  prepare(made);
  const first = await enableTracking(made.hyperv, vmId(made), asked);
  const second = await enableTracking(made.hyperv, vmId(made), asked);
  const foreign = await enableTracking(made.hyperv, vmId(made), asked);
  const ours = [first.instanceId.toLowerCase(), second.instanceId, 'gone already'];
  const removed = await resetTracking(made.hyperv, vmId(made), ours);
  assert.deepEqual(removed, [first.instanceId, second.instanceId]);
  assert.deepEqual(
    made.host.vms[0]!.points.map((one) => one.id),
    [foreign.instanceId],
  );
});
