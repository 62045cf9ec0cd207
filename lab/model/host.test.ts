/** The host against its ground truth: any sequence of what guests, clients, restarts and kills do to it. */
import assert from 'node:assert/strict';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { MiB } from '../../src/base/index.ts';
import { FileReader, type RangeReader } from '../../src/disk/index.ts';
import { normalise, type Extent } from '../../src/extents/index.ts';
import { openVhdxChain } from '../../src/vhdx/index.ts';
import type { LabPath } from '../cim.ts';
import { ManualClock } from './clock.ts';
import {
  call,
  CALLER,
  created,
  idOf,
  recoveryCheckpoint,
  rows,
  testHost,
  type TestHost,
} from './host.fixture.ts';
import { LabHost } from './host.ts';
import { systemPath } from './object-paths.ts';
import { INSTANT } from './options.ts';
import { Random } from './random.ts';

const SIZES = [6 * MiB, 3 * MiB + 512];

type Step =
  | { readonly do: 'guest'; readonly seed: number; readonly writes: number }
  | {
      readonly do:
        | 'recovery'
        | 'user'
        | 'convert'
        | 'destroy'
        | 'destroyUser'
        | 'forget'
        | 'restart'
        | 'kill'
        | 'rest';
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('guest' as const),
      seed: fc.nat(),
      writes: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('recovery' as const, 'convert' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'user' as const,
        'destroy' as const,
        'destroyUser' as const,
        'forget' as const,
        'restart' as const,
        'kill' as const,
        'rest' as const,
      ),
    }),
  },
);

async function contentOf(reader: RangeReader): Promise<Buffer> {
  const bytes = Buffer.alloc(reader.size);
  await reader.read(0, bytes);
  await reader.close();
  return bytes;
}

async function truthOf(host: LabHost, seal: string, diskId: string): Promise<Buffer> {
  return contentOf(await host.truthReader(seal, diskId));
}

/** What a client of the host's files would read. */
async function fileContent(host: LabHost, path: string): Promise<Buffer> {
  const local = join(host.volumesFolder, path.replace(':', '').replaceAll('\\', '/'));
  return contentOf(await openVhdxChain(local, { open: (file) => FileReader.open(file) }));
}

async function changesOf(host: LabHost, path: string, rctId: string, size: number): Promise<Extent[]> {
  const changed: Extent[] = [];
  for (let at = 0; at < size;) {
    const { returnValue, out } = await call(host, 'GetVirtualDiskChanges', {
      Path: path,
      LimitId: rctId,
      ByteOffset: BigInt(at),
      ByteLength: BigInt(size - at),
    });
    assert.equal(returnValue, 0);
    const lengths = (out['ChangedByteLengths'] ?? []) as bigint[];
    for (const [i, offset] of ((out['ChangedByteOffsets'] ?? []) as bigint[]).entries()) {
      changed.push({ offset: Number(offset), length: Number(lengths[i]) });
    }
    at += Number(out['ProcessedByteLength']);
  }
  return normalise(changed);
}

/** The frozen files of the recovery checkpoint show its seal, and all reference points cover what changed up to it. */
async function checkRecovery(host: LabHost, vmId: string): Promise<void> {
  const vm = await host.vm(vmId);
  const checkpoint = vm.checkpoints.find(({ kind }) => kind === 'recovery');
  if (!checkpoint) return;
  const media = await rows(host, 'Msvm_StorageAllocationSettingData');
  for (const disk of vm.disks) {
    const frozenId = disk.attachmentId.replace(vm.id, checkpoint.id);
    const path = (media.find((row) => row['InstanceID'] === frozenId)!['HostResource'] as string[])[0]!;
    const now = await truthOf(host, checkpoint.id, disk.diskId);
    assert.ok((await fileContent(host, path)).equals(now), `${path} shows its seal`);
    await checkReferencePoints(host, { path, attachmentId: disk.attachmentId, diskId: disk.diskId, now });
  }
}

async function checkReferencePoints(
  host: LabHost,
  frozen: { path: string; attachmentId: string; diskId: string; now: Buffer },
): Promise<void> {
  for (const point of await rows(host, 'Msvm_VirtualSystemReferencePoint')) {
    const index = (point['VirtualDiskIdentifiers'] as string[]).indexOf(frozen.attachmentId);
    const rctId = (point['ResilientChangeTrackingIdentifiers'] as string[])[index]!;
    const seals = await host.seals(point['VirtualSystemIdentifier'] as string);
    const seal = seals.find(({ disks }) => disks.some((disk) => disk.rctId === rctId))!;
    const then = await truthOf(host, seal.id, frozen.diskId);
    const changed = await changesOf(host, frozen.path, rctId, frozen.now.length);
    for (const { offset, length } of changed) frozen.now.copy(then, offset, offset, offset + length);
    assert.ok(then.equals(frozen.now), `changes since ${rctId} are all there`);
  }
}

async function checkLeaves(host: LabHost, vmId: string): Promise<void> {
  for (const disk of (await host.vm(vmId)).disks) {
    const read = await host.guestRead(vmId, { diskId: disk.diskId, offset: 0, length: disk.size });
    assert.ok((await truthOf(host, 'now', disk.diskId)).equals(read), 'the guest reads what it wrote');
  }
}

async function apply(test: TestHost, vmId: string, one: Step): Promise<void> {
  const { host } = test;
  const vm = await host.vm(vmId);
  const recovery = vm.checkpoints.find(({ kind }) => kind === 'recovery');
  const user = vm.checkpoints.find(({ kind }) => kind === 'user');
  const path = (id: string): LabPath => ({
    className: 'Msvm_VirtualSystemSettingData',
    keys: { InstanceID: `Microsoft:${id}` },
  });
  if (one.do === 'guest') {
    await host.guestRun(vmId, { seed: one.seed, writes: one.writes, writeBytes: 20_000, trims: 0.3 });
  } else if (one.do === 'recovery' && !recovery) await recoveryCheckpoint(host, vmId);
  else if (one.do === 'user' && vm.checkpoints.length < 4) {
    await created(host, 'CreateSnapshot', { AffectedSystem: systemPath(vmId), SnapshotType: 2 });
  } else if (one.do === 'convert' && recovery) {
    assert.ok(await created(host, 'ConvertToReferencePoint', { AffectedSnapshot: path(recovery.id) }));
  } else if (one.do === 'destroy' && recovery) {
    await created(host, 'DestroySnapshot', { AffectedSnapshot: path(recovery.id) });
  } else if (one.do === 'destroyUser' && user) {
    await created(host, 'DestroySnapshot', { AffectedSnapshot: path(user.id) });
  } else if (one.do === 'forget' && vm.referencePoints[0]) {
    const keys = { InstanceID: `Microsoft:${vm.referencePoints[0].id}`, VirtualSystemIdentifier: vmId };
    await created(host, 'DestroyReferencePoint', {
      AffectedReferencePoint: { className: 'Msvm_VirtualSystemReferencePoint', keys },
    });
  } else if (one.do === 'restart') {
    await host.close();
    test.host = await LabHost.open(test.folder, { settings: { ...INSTANT, changes: host.options.changes } });
  } else if (one.do === 'kill') await killed(test);
}

/** What a process that is killed now leaves behind: its files as they are. The copy lives on. */
let copies = 0;
async function killed(test: TestHost): Promise<void> {
  const copy = `${test.folder}-${(copies += 1)}`;
  await cp(test.folder, copy, { recursive: true });
  await test.host.close();
  Object.assign(test, { folder: copy });
  test.host = await LabHost.open(copy, { settings: INSTANT });
}

test('whatever guests, clients, restarts and kills do: files, guests and change tracking agree with the truth', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      await using test = await testHost();
      const disks = SIZES.map((size) => ({ size }));
      const { id } = await test.host.createVm({ name: 'vm', disks });
      for (const one of steps) {
        await apply(test, id, one);
        await checkRecovery(test.host, id);
      }
      await checkLeaves(test.host, id);
    }),
    { numRuns: 15 },
  );
});

const round = fc.record({
  before: fc.nat(),
  between: fc.nat(),
  trims: fc.constantFrom(0, 0.5),
  restart: fc.constantFrom('restart' as const, 'rest' as const),
});
const wording = fc.record({
  granularityBytes: fc.constantFrom(512, 4096, 65_536),
  order: fc.constantFrom('sorted' as const, 'reversed' as const, 'shuffled' as const),
  coalesce: fc.boolean(),
  overlapping: fc.boolean(),
  rangesMax: fc.constantFrom(1, 3, 1000),
});

test('increment after increment, changes since every earlier reference point cover all that differs, in any wording', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 3, maxLength: 4 }), wording, async (rounds, changes) => {
      await using test = await testHost({ changes });
      const { id } = await test.host.createVm({ name: 'vm', disks: [{ size: 3 * MiB + 512 }] });
      for (const { before, between, trims, restart } of rounds) {
        const script = { writes: 8, writeBytes: 70_000, trims };
        await test.host.guestRun(id, { ...script, seed: before });
        await apply(test, id, { do: 'recovery' });
        await test.host.guestRun(id, { ...script, seed: between });
        await checkRecovery(test.host, id);
        await apply(test, id, { do: 'convert' });
        await apply(test, id, { do: restart });
      }
    }),
    { numRuns: 10 },
  );
});

test('frozen files are not written to while the guest goes on, byte for byte, tables included', async () => {
  await using test = await testHost();
  const { host } = test;
  const { id } = await host.createVm({ name: 'vm', disks: [{ size: 8 * MiB }] });
  await host.guestRun(id, { seed: 1, writes: 20 });
  await recoveryCheckpoint(host, id);
  const file = join(host.volumesFolder, 'C', 'VMs', 'vm', 'disk.vhdx');
  const before = await readFile(file);
  await host.guestRun(id, { seed: 2, writes: 20, trims: 0.5 });
  assert.ok((await readFile(file)).equals(before));
});

test('writes during the wait for a merge, and beside it, are in the disk afterwards; the AVHDX is gone', async () => {
  await using test = await testHost();
  const { host } = test;
  const { id } = await host.createVm({ name: 'vm', disks: [{ size: 32 * MiB }, { size: 8 * MiB }] });
  await host.guestRun(id, { seed: 1, writes: 50 });
  await host.holdMerges(id, true);
  const checkpoint = await recoveryCheckpoint(host, id);
  await host.guestRun(id, { seed: 2, writes: 50, trims: 0.2 });
  await created(host, 'ConvertToReferencePoint', { AffectedSnapshot: checkpoint });
  assert.equal((await host.vm(id)).mergePending, true);
  const folder = join(host.volumesFolder, 'C', 'VMs', 'vm');
  assert.equal((await readdir(folder)).filter((name) => name.endsWith('.avhdx')).length, 2);
  const writing = host.guestRun(id, { seed: 3, writes: 200, trims: 0.2 });
  await host.holdMerges(id, false);
  await Promise.all([writing, host.settle()]);
  assert.equal((await host.vm(id)).mergePending, false);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.endsWith('.avhdx')),
    [],
  );
  await checkLeaves(host, id);
});

test('a merge is seen: OperationalStatus 32772 until it is done, and the AVHDX stays until then', async () => {
  const clock = new ManualClock();
  await using test = await testHost({ mergeDelayMs: 300 }, { clock });
  const { host } = test;
  const { id } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const checkpoint = await recoveryCheckpoint(host, id);
  await call(host, 'DestroySnapshot', { AffectedSnapshot: checkpoint });
  while ((await host.vm(id)).busy !== 32772) await new Promise(setImmediate);
  const [row] = (await rows(host, 'Msvm_ComputerSystem')).filter(({ Name }) => Name === id);
  assert.deepEqual(row!['OperationalStatus'], [2, 32772]);
  assert.equal((await host.vm(id)).disks[0]!.files.length, 2);
  await clock.advance(300);
  await host.settle();
  assert.equal((await host.vm(id)).busy, undefined);
  assert.equal((await host.vm(id)).disks[0]!.files.length, 1);
});

test('the reference point keeps the id of the freeze: what was written before the conversion is in the next answer', async () => {
  await using test = await testHost();
  const { host } = test;
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const first = await recoveryCheckpoint(host, id);
  await host.guestWrite(id, { offset: MiB, length: 512, seed: 5 });
  await created(host, 'ConvertToReferencePoint', { AffectedSnapshot: first });
  const seal = (await host.seals(id)).find((one) => one.id === idOf(first))!;
  await recoveryCheckpoint(host, id);
  const changed = await changesOf(host, disks[0]!.files[0]!, seal.disks[0]!.rctId!, 4 * MiB);
  assert.deepEqual(changed, [{ offset: MiB, length: 65_536 }]);
});

test('an application-consistent freeze holds what the guest had cached, a crash-consistent one does not', async () => {
  await using test = await testHost();
  const { host } = test;
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const bytes = new Random(1).bytes(4096);
  for (const consistency of [2, 1] as const) {
    await host.guestWrite(id, { offset: consistency * MiB, bytes, cached: true });
    const checkpoint = await recoveryCheckpoint(host, id, consistency);
    const content = await truthOf(host, idOf(checkpoint), disks[0]!.diskId);
    const held = content.subarray(consistency * MiB, consistency * MiB + 4096);
    assert.equal(held.equals(bytes), consistency === 1);
    const seal = (await host.seals(id)).find((one) => one.id === idOf(checkpoint));
    assert.equal(seal?.consistency, consistency === 1 ? 'application' : 'crash');
    await created(host, 'DestroySnapshot', { AffectedSnapshot: checkpoint });
  }
});

test('a raw image and a VHDX come in with their content, and the truth knows it', async () => {
  await using test = await testHost();
  const { host } = test;
  const raw = join(test.folder, 'image.raw');
  const content = Buffer.concat([
    new Random(4).bytes(100_000),
    Buffer.alloc(5 * MiB),
    new Random(5).bytes(777),
  ]);
  await writeFile(raw, content);
  const first = await host.createVm({ name: 'raw', disks: [{ fromRaw: raw, size: 8 * MiB }] });
  await checkLeaves(host, first.id);
  const read = await host.guestRead(first.id, { offset: 0, length: content.length });
  assert.ok(content.equals(read));
  assert.equal(
    await host.compareImage('now', first.disks[0]!.diskId, raw),
    content.length,
    'the image is shorter',
  );
  await host.setPower(first.id, 'off');
  const file = join(host.volumesFolder, 'C', 'VMs', 'raw', 'disk.vhdx');
  await assert.rejects(host.createVm({ name: 'copy', disks: [{ fromVhdx: file }] }), /is here already/);
  const copied = join(test.folder, 'copied.vhdx');
  await cp(file, copied);
  await host.removeVm(first.id);
  const second = await host.createVm({ name: 'vhdx', disks: [{ fromVhdx: copied }] });
  assert.equal(second.disks[0]!.diskId, first.disks[0]!.diskId, 'the identity comes with the file');
  assert.ok(content.equals(await host.guestRead(second.id, { offset: 0, length: content.length })));
  await checkLeaves(host, second.id);
});

test('resizing keeps the content, and truth and file agree on the size', async () => {
  await using test = await testHost();
  const { host } = test;
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const { diskId } = disks[0]!;
  await host.guestRun(id, { seed: 1, writes: 30 });
  for (const size of [6 * MiB, 2 * MiB, 4 * MiB]) {
    await host.resizeDisk(id, diskId, size);
    assert.equal((await host.vm(id)).disks[0]!.size, size);
    await checkLeaves(host, id);
  }
  assert.equal((await rows(host, 'Msvm_StorageAllocationSettingData')).length, 1);
  await recoveryCheckpoint(host, id);
  await assert.rejects(host.resizeDisk(id, diskId, 8 * MiB), /checkpoints/);
});

test('a restart in the middle: a checkpoint that was made stays, its job is gone, an unfinished AVHDX is removed', async () => {
  await using test = await testHost();
  const { id } = await test.host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const checkpoint = await recoveryCheckpoint(test.host, id);
  const folder = join('volumes', 'C', 'VMs', 'vm');
  const orphan = join(folder, 'disk_00000000-0000-4000-8000-000000000001.avhdx');
  await cp(join(test.folder, folder, 'disk.vhdx'), join(test.folder, orphan));
  await killed(test);
  const vm = await test.host.vm(id);
  assert.deepEqual(
    vm.checkpoints.map((one) => one.id),
    [idOf(checkpoint)],
  );
  assert.deepEqual(await test.host.provider.instances('Msvm_ConcreteJob', CALLER), []);
  assert.equal(
    (await readdir(join(test.folder, folder))).filter((name) => name.endsWith('.avhdx')).length,
    1,
  );
});
