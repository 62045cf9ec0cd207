/** The Hyper-V module over sealed WinRM against the emulated host, which shares no code with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Misbehaviour } from '../../lab/model/index.ts';
import { hasCode, KiB, MiB } from '../../src/base/index.ts';
import { subtract, totalBytes, type Extent } from '../../src/extents/index.ts';
import type { AttachedDisk, Checkpoint } from '../../src/hyperv/index.ts';
import { openLabHyperV, type LabHyperV } from './lab-hyperv.fixture.ts';

const crash = { consistency: 'crash', name: 'hvlift interop run' } as const;
const NAMES = [
  'O\'Brien\'s "VM"',
  'C:\\path\\like',
  '100%_[a]*',
  'a & b < c > d',
  '  blanks  ',
  '検証サーバー',
];

const withLab = (...settings: Parameters<typeof openLabHyperV>): Promise<LabHyperV> =>
  openLabHyperV(...settings);

test('VMs of any name are found over the wire, twins are refused, a filtered account sees none', async () => {
  await using it = await withLab();
  for (const name of NAMES) await it.lab.createVm({ name });
  for (const power of ['running', 'off', 'saved', 'paused'] as const) {
    await it.lab.createVm({ name: 'twin', power, generation: 1, version: '9.0' });
  }
  for (const name of NAMES) assert.equal((await it.hyperv.vm(name)).name, name);
  const vms = await it.hyperv.vms();
  const twins = vms.filter((vm) => vm.name === 'twin');
  assert.deepEqual(twins.map((vm) => vm.state).sort(), ['off', 'paused', 'running', 'saved']);
  assert.deepEqual([twins[0]!.generation, twins[0]!.configurationVersion], [1, '9.0']);
  assert.equal(vms.length, NAMES.length + 4);
  await assert.rejects(it.hyperv.vm('twin'), (error) => hasCode(error, 'HYPERV_VM_AMBIGUOUS'));
  assert.equal((await it.hyperv.vm(twins[2]!.id)).id, twins[2]!.id);
  assert.deepEqual(await it.filtered.vms(), []);
  await assert.rejects(it.filtered.vm('twin'), (error) => hasCode(error, 'HYPERV_VM_NOT_FOUND'));
});

test('disks lie where the host put them, checkpoints of both kinds included', async () => {
  await using it = await withLab();
  const { id } = await it.lab.createVm({
    name: "it's a disk's VM",
    generation: 1,
    scsiControllers: 5,
    disks: [
      { size: 4 * MiB, name: 'boot', at: { controller: 'ide', number: 1, slot: 1 } },
      { size: 8 * MiB, name: 'data & logs', at: { controller: 'scsi', number: 4, slot: 63 } },
    ],
  });
  await it.lab.addDrive(id, { kind: 'dvd', path: 'C:\\ISO\\setup.iso' });
  await it.lab.addDrive(id, { kind: 'physical', path: '5', at: { controller: 'scsi', number: 2 } });
  const vmId = id.toLowerCase();
  const places = (disks: readonly AttachedDisk[]): string[] =>
    disks.map((disk) => `${disk.kind} ${disk.controller.kind}${disk.controller.number}:${disk.slot}`).sort();
  const expected = ['passthrough scsi2:0', 'virtual ide1:1', 'virtual scsi4:63'];
  assert.deepEqual(places(await it.hyperv.disks(vmId)), expected);

  const checkpoint = await it.hyperv.createRecoveryCheckpoint(vmId, crash);
  const active = (await it.hyperv.disks(vmId)).filter((disk) => disk.kind === 'virtual');
  const frozen = (await it.hyperv.checkpointDisks(checkpoint)).filter((disk) => disk.kind === 'virtual');
  for (const info of (await it.lab.vm(id)).disks) {
    const [leaf, parent] = [active, frozen].map((disks) =>
      disks.find((disk) => disk.slot === info.slot && disk.controller.kind === info.controller)!,
    );
    assert.equal(leaf!.attachmentId, info.attachmentId);
    assert.equal(leaf!.path, info.files.at(-1));
    assert.equal(parent!.path, info.files.at(-2));
    const [of, ofParent] = await Promise.all([leaf!, parent!].map((disk) => it.hyperv.diskInfo(disk.path)));
    assert.deepEqual([of!.virtualDiskId, ofParent!.virtualDiskId], Array(2).fill(info.diskId.toLowerCase()));
    assert.equal(of!.parentPath, parent!.path);
    assert.deepEqual([of!.kind, of!.size, ofParent!.size], ['differencing', info.size, info.size]);
  }
  await it.hyperv.destroyCheckpoint(checkpoint);
  assert.equal(await it.hyperv.waitForMerge(vmId, { timeoutMs: 600_000 }), 'merged');
});

test('the configuration tells what the VM was made with', async () => {
  await using it = await withLab();
  const { id } = await it.lab.createVm({ name: 'app', notes: ['line <1>'], disks: [{ size: 4 * MiB }] });
  const configuration = await it.hyperv.configuration(id.toLowerCase());
  assert.deepEqual(JSON.parse(JSON.stringify(configuration)), configuration);
  assert.deepEqual(
    [configuration.name, configuration.generation, configuration.notes],
    ['app', 2, ['line <1>']],
  );
  assert.equal(configuration.disks.length, 1);
});

const MISBEHAVIOURS: readonly Misbehaviour[] = [
  { kind: 'drop', when: 'before' },
  { kind: 'drop', when: 'after' },
  { kind: 'vanish-job' },
  { kind: 'warn-job' },
  { kind: 'fail-job', code: 32_768 },
  { kind: 'fail-job', code: 32_768, afterEffect: true },
  { kind: 'return', code: 32_775 },
  { kind: 'wmi-error', status: 0x80041001 },
];
const METHODS = [
  'CreateSnapshot',
  'ModifySystemSettings',
  'ConvertToReferencePoint',
  'DestroyReferencePoint',
  'DestroySnapshot',
] as const;

for (const method of METHODS) {
  test(`${method} misbehaves in every way: what is said is true, and nothing of ours is lost sight of`, async () => {
    await using it = await withLab();
    const { id } = await it.lab.createVm({ name: 'db', disks: [{ size: 4 * MiB }] });
    const vmId = id.toLowerCase();
    for (const misbehaviour of MISBEHAVIOURS) {
      await it.lab.addFault({ method, misbehaviour });
      await liveOnce(it, vmId, `${method} ${JSON.stringify(misbehaviour)}`);
      await it.lab.clearFaults();
    }
  });
}

/** One life of a checkpoint; whatever fails is done again, and the host is compared with what was said at each step. */
async function liveOnce({ lab, hyperv }: LabHyperV, vmId: string, label: string): Promise<void> {
  const recoveryNames = async (): Promise<string[]> => {
    await lab.settle();
    return (await lab.vm(vmId)).checkpoints.map((one) => one.name);
  };
  const create = (): Promise<Checkpoint> => hyperv.createRecoveryCheckpoint(vmId, crash);
  let fault: unknown;
  const first = await create().catch((error: unknown) => void (fault = error));
  // A failed job that made a checkpoint without naming it: whose it is cannot be told, so it is reported and left.
  const isReported = hasCode(fault, 'HYPERV_CHECKPOINT_BLOCKED');
  assert.deepEqual((await recoveryNames()).length, isReported || first ? 1 : 0, label);
  if (isReported) for (const one of await hyperv.checkpoints(vmId)) await hyperv.destroyCheckpoint(one);
  else assert.deepEqual(await recoveryNames(), first ? [crash.name] : [], label);
  const checkpoint = first ?? (await create());
  const point = await hyperv.convertToReferencePoint(checkpoint).catch(() => undefined);
  await lab.settle();
  const points = (await lab.vm(vmId)).referencePoints.map((one) => `Microsoft:${one.id}`);
  assert.deepEqual(points, point ? [point.instanceId] : [], label);
  const spare = point ? await create().catch(() => create()) : checkpoint;
  await hyperv.destroyCheckpoint(spare).catch(() => hyperv.destroyCheckpoint(spare));
  assert.deepEqual(await recoveryNames(), [], label);
  if (point) await hyperv.destroyReferencePoint(point).catch(() => hyperv.destroyReferencePoint(point));
  assert.deepEqual((await lab.vm(vmId)).referencePoints, [], label);
  assert.equal(await hyperv.waitForMerge(vmId, { timeoutMs: 600_000 }), 'merged', label);
}

test('a job that sticks ends with the cancelled run, and leaves nothing', async () => {
  await using it = await withLab();
  const { id } = await it.lab.createVm({ name: 'db', disks: [{ size: 4 * MiB }] });
  await it.lab.addFault({ method: 'CreateSnapshot', misbehaviour: { kind: 'stick-job' } });
  const controller = new AbortController();
  const making = it.hyperv.createRecoveryCheckpoint(id.toLowerCase(), {
    ...crash,
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(new Error('stop')), 100);
  await assert.rejects(making, /stop/);
  await it.lab.settle();
  assert.deepEqual((await it.lab.vm(id)).checkpoints, []);
});

test('checkpoints that listings show late are made, named, converted and removed all the same', async () => {
  await using it = await withLab({ listingDelayMs: 60 });
  const { id } = await it.lab.createVm({ name: 'db', disks: [{ size: 4 * MiB }] });
  await liveOnce(it, id.toLowerCase(), 'late listings');
});

test('consistency is asked of the guest, and a guest that fails is told apart', async () => {
  await using it = await withLab({ vssTimeoutMs: 50 });
  const { id } = await it.lab.createVm({ name: 'db', disks: [{ size: 4 * MiB }] });
  const vmId = id.toLowerCase();
  const application = { ...crash, consistency: 'application' } as const;
  for (const vss of ['disabled', 'no-contact', 'timeout', 'fails'] as const) {
    await it.lab.setGuest(id, { vss });
    await assert.rejects(
      it.hyperv.createRecoveryCheckpoint(vmId, application),
      (error) => hasCode(error, 'HYPERV_CHECKPOINT_FAILED') && error.details['consistency'] === 'application',
      vss,
    );
    const expectReady = vss === 'timeout' || vss === 'fails'; // these look well until they are asked
    assert.equal((await it.hyperv.vssReady(vmId)).ready, expectReady, vss);
    await it.hyperv.destroyCheckpoint(await it.hyperv.createRecoveryCheckpoint(vmId, crash));
  }
  await it.lab.setGuest(id, { vss: 'ok' });
  assert.equal((await it.hyperv.vssReady(vmId)).ready, true);
  for (const asked of [application, crash]) {
    const checkpoint = await it.hyperv.createRecoveryCheckpoint(vmId, asked);
    assert.equal((await it.hyperv.convertToReferencePoint(checkpoint)).consistency, asked.consistency);
  }
});

test('a merge that the host holds back is told as running, and as merged once it is done', async () => {
  await using it = await withLab();
  const { id } = await it.lab.createVm({ name: 'db', disks: [{ size: 4 * MiB }] });
  const vmId = id.toLowerCase();
  await it.lab.holdMerges(id, true);
  await it.hyperv.destroyCheckpoint(await it.hyperv.createRecoveryCheckpoint(vmId, crash));
  assert.equal(await it.hyperv.waitForMerge(vmId, { timeoutMs: 5000 }), 'running');
  await it.lab.holdMerges(id, false);
  assert.equal(await it.hyperv.waitForMerge(vmId, { timeoutMs: 600_000 }), 'merged');
});

const SIZE = 24 * MiB;
const STYLES = [
  { name: 'as a plain host', changes: {}, envelope: 500 * KiB },
  {
    name: 'sector by sector, shuffled',
    changes: { granularityBytes: 512, order: 'shuffled', coalesce: false },
  },
  {
    name: 'reversed, overlapping, past the end',
    changes: { order: 'reversed', overlapping: true, pastEnd: true },
  },
  { name: 'three ranges at a time', changes: { granularityBytes: 4 * KiB, rangesMax: 3 } },
  { name: 'with as many lies as truths', changes: { overReport: 1, granularityBytes: 16 * KiB } },
  {
    name: 'with no limit but the envelope',
    changes: { granularityBytes: 512, coalesce: false, rangesMax: 0 },
  },
] as const;

for (const { name, changes } of STYLES) {
  test(`changes told ${name} cover every byte that differs between two seals`, async () => {
    await using it = await withLab({ changes, strictByteLength: true }, { maxEnvelopeBytes: 64 * KiB });
    const { id } = await it.lab.createVm({ name: 'db', disks: [{ size: SIZE }] });
    const vmId = id.toLowerCase();
    await it.lab.guestRun(id, { seed: 1, writes: 60, writeBytes: 32 * KiB });
    const point = await it.hyperv.convertToReferencePoint(
      await it.hyperv.createRecoveryCheckpoint(vmId, crash),
    );
    await it.lab.guestRun(id, { seed: 2, writes: 80, writeBytes: 12 * KiB, trims: 0.2 });
    const checkpoint = await it.hyperv.createRecoveryCheckpoint(vmId, crash);
    await it.lab.guestRun(id, { seed: 3, writes: 20 }); // after the seal: belongs to the next interval
    const [frozen] = await it.hyperv.checkpointDisks(checkpoint);
    const { rctId } = point.disks[0]!;
    const told = await Array.fromAsync(it.hyperv.changedExtents(frozen!.path, rctId, SIZE));
    const truth = await differences(it, id);
    assert.ok(totalBytes(truth) > 500 * KiB, 'there is something to miss');
    assert.deepEqual(subtract(truth, told), []);
    if (!('overReport' in changes)) assert.ok(totalBytes(told) < SIZE, 'and not simply everything');
    await it.hyperv.destroyCheckpoint(checkpoint);
  });
}

/** Sectors that differ between the last two seals, by the lab's ground truth. */
async function differences({ lab }: LabHyperV, vm: string): Promise<Extent[]> {
  const sector = 512;
  const [before, after] = (await lab.seals(vm)).slice(-2);
  const { diskId } = after!.disks[0]!;
  const range = { diskId, offset: 0, length: SIZE };
  const [a, b] = [await lab.truthRead(before!.id, range), await lab.truthRead(after!.id, range)];
  const differing: Extent[] = [];
  for (let offset = 0; offset < SIZE; offset += sector) {
    if (!Buffer.from(a.buffer, offset, sector).equals(Buffer.from(b.buffer, offset, sector))) {
      differing.push({ offset, length: sector });
    }
  }
  return differing;
}

test('changes since a point that was removed, on another disk, or told by a stubborn host: the baseline is lost', async () => {
  await using it = await withLab();
  const { id } = await it.lab.createVm({ name: 'db', disks: [{ size: 4 * MiB }] });
  const vmId = id.toLowerCase();
  const seal = async () =>
    it.hyperv.convertToReferencePoint(await it.hyperv.createRecoveryCheckpoint(vmId, crash));
  const [gone, kept] = [await seal(), await seal()];
  await it.hyperv.destroyReferencePoint(gone);
  const checkpoint = await it.hyperv.createRecoveryCheckpoint(vmId, crash);
  const [{ path }] = (await it.hyperv.checkpointDisks(checkpoint)) as [AttachedDisk];
  const ask = (rctId: string, file = path): Promise<Extent[]> =>
    Array.fromAsync(it.hyperv.changedExtents(file, rctId, 4 * MiB));
  const lost = (error: unknown): boolean => hasCode(error, 'HYPERV_BASELINE_LOST');
  const { rctId } = kept.disks[0]!;
  assert.deepEqual(await ask(rctId), []);
  await assert.rejects(ask(gone.disks[0]!.rctId), lost);
  await assert.rejects(ask('rctX:no:such:id'), lost);
  await assert.rejects(ask(rctId, 'C:\\VMs\\no such file.vhdx'), lost);
  for (const kind of ['no-progress', 'answer-by-job'] as const) {
    await it.lab.addFault({ method: 'GetVirtualDiskChanges', misbehaviour: { kind } });
    await assert.rejects(ask(rctId), lost, kind);
  }
  await it.lab.addFault({ method: 'GetVirtualDiskChanges', misbehaviour: { kind: 'drop', when: 'after' } });
  assert.deepEqual(await ask(rctId), [], 'a question may be asked again');
});
