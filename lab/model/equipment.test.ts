/** Disks that move, are exchanged, forget what changed, or leave while the guest still has writes for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import type { LabPath, LabValue } from '../cim.ts';
import { call, created, recoveryCheckpoint, rows, testHost } from './host.fixture.ts';
import type { LabHost } from './host.ts';

async function hostWithDisk() {
  const { host, ...test } = await testHost();
  const vm = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB, blockSize: MiB }] });
  const [disk] = vm.disks;
  await host.guestRun(vm.id, { seed: 1, writes: 10 });
  return {
    host,
    id: vm.id,
    diskId: disk!.diskId,
    path: disk!.files[0]!,
    [Symbol.asyncDispose]: test[Symbol.asyncDispose],
  };
}

/** A mark of now; what the host answers to "what changed since" at a later checkpoint. */
async function changesSinceMark(host: LabHost, id: string, meanwhile: () => Promise<void>) {
  const ReferencePointSettings = null;
  const AffectedSnapshot = await recoveryCheckpoint(host, id);
  const point = await created(host, 'ConvertToReferencePoint', { AffectedSnapshot, ReferencePointSettings });
  const [mark] = (await rows(host, 'Msvm_VirtualSystemReferencePoint')).filter(
    ({ InstanceID }) => InstanceID === point!.keys['InstanceID'],
  );
  const [LimitId] = mark!['ResilientChangeTrackingIdentifiers'] as string[];
  await meanwhile();
  const { files, size } = (await host.vm(id)).disks[0]!;
  await recoveryCheckpoint(host, id);
  const ByteLength: LabValue = BigInt(size);
  return call(host, 'GetVirtualDiskChanges', {
    Path: files[0]!,
    LimitId: LimitId!,
    ByteOffset: 0n,
    ByteLength,
  });
}

test('a disk that moves keeps its content, its identity and what is known of its changes', async () => {
  await using lab = await hostWithDisk();
  const { host, id, diskId } = lab;
  const answer = await changesSinceMark(host, id, async () => {
    await host.guestWrite(id, { offset: MiB, length: 64 * KiB, seed: 2 });
    await host.moveDisk(id, diskId, 'C:\\moved\\there.vhdx');
  });
  assert.deepEqual(answer.out['ChangedByteOffsets'], [BigInt(MiB)]);
  const [disk] = (await host.vm(id)).disks;
  assert.equal(disk!.diskId, diskId);
  assert.equal(disk!.files[0], 'C:\\moved\\there.vhdx');
});

test('an exchanged file holds other bytes, and no tracking id of before is known', async () => {
  await using lab = await hostWithDisk();
  const { host, id, diskId } = lab;
  const before = await host.guestRead(id, { offset: MiB, length: 4 * KiB });
  const answer = await changesSinceMark(host, id, () =>
    host.exchangeDisk(id, { diskId, offset: MiB, length: 4 * KiB, seed: 3 }),
  );
  assert.notEqual(answer.returnValue, 0);
  const after = await host.guestRead(id, { offset: MiB, length: 4 * KiB });
  assert.notDeepEqual(after, before);
  const truth = await host.truthRead('now', { diskId, offset: MiB, length: 4 * KiB });
  assert.deepEqual(truth, after);
});

test('a reset of the tracking makes its ids unknown', async () => {
  await using lab = await hostWithDisk();
  const { host, id, diskId } = lab;
  const answer = await changesSinceMark(host, id, () => host.resetTracking(id, diskId));
  assert.notEqual(answer.returnValue, 0);
});

test('what a disk lost by becoming smaller counts as changed when it is as large as before', async () => {
  await using lab = await hostWithDisk();
  const { host, id, diskId } = lab;
  const answer = await changesSinceMark(host, id, async () => {
    await host.resizeDisk(id, diskId, 3 * MiB);
    await host.resizeDisk(id, diskId, 4 * MiB);
  });
  assert.deepEqual(answer.out['ChangedByteOffsets'], [BigInt(3 * MiB)]);
  assert.deepEqual(answer.out['ChangedByteLengths'], [BigInt(MiB)]);
});

test('a new disk at the path of another one is refused, and the other one stays', async () => {
  await using lab = await hostWithDisk();
  const { host, id, path } = lab;
  await assert.rejects(host.addDisk(id, { size: MiB, path }), /file of another disk/);
  assert.equal((await host.guestRead(id, { offset: 0, length: 512 })).length, 512);
});

test('writes in the cache of the guest for a disk that leaves, or beyond its new end, are lost with it', async () => {
  await using lab = await hostWithDisk();
  const { host, id, diskId } = lab;
  const { diskId: second } = await host.addDisk(id, { size: 4 * MiB, blockSize: MiB });
  const cached = { length: 64 * KiB, seed: 4, cached: true };
  await host.guestWrite(id, { ...cached, diskId: second, offset: 0 });
  await host.guestWrite(id, { ...cached, diskId, offset: 3 * MiB });
  await host.detachDisk(id, second);
  await host.resizeDisk(id, diskId, 2 * MiB);
  assert.equal((await host.vm(id)).cachedWrites, 0);
  const checkpoint: LabPath = await recoveryCheckpoint(host, id, 1);
  assert.ok(checkpoint);
});
