/**
 * What the host does besides answering: one test a trait, named "claim (source)". docs/protocols/lab-wire.md lists them, and
 * a test holds that list against these names. "by design" is what no recording and no document decides.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import type { LabPath, LabValue } from '../cim.ts';
import { ManualClock } from './clock.ts';
import {
  call,
  CALLER,
  created,
  idOf,
  jobOf,
  recoveryCheckpoint,
  rows,
  testHost,
  type TestHost,
} from './host.fixture.ts';
import { LabHost } from './host.ts';
import { keyText, settingsPath, systemPath } from './object-paths.ts';
import { INSTANT } from './options.ts';
import { RETURN } from './return-codes.ts';

const SIZE = 6 * MiB;

async function hostWithVm(settings: Parameters<typeof testHost>[0] = {}, clock?: ManualClock) {
  const it = await testHost(settings, clock ? { clock } : {});
  const { id } = await it.host.createVm({ name: 'vm', disks: [{ size: SIZE, blockSize: MiB }] });
  await it.host.settle();
  return { it, id, [Symbol.asyncDispose]: () => it[Symbol.asyncDispose]() };
}

function freeze({ host }: TestHost, vmId: string) {
  return call(host, 'CreateSnapshot', { AffectedSystem: systemPath(vmId), SnapshotType: 32768 });
}

async function userCheckpoint({ host }: TestHost, vmId: string): Promise<LabPath> {
  return (await created(host, 'CreateSnapshot', { AffectedSystem: systemPath(vmId), SnapshotType: 2 }))!;
}

/** A reference point of now; its tracking id. */
async function marked({ host }: TestHost, vmId: string): Promise<string> {
  const checkpoint = await recoveryCheckpoint(host, vmId);
  const point = await created(host, 'ConvertToReferencePoint', { AffectedSnapshot: checkpoint });
  const row = (await rows(host, 'Msvm_VirtualSystemReferencePoint')).find(
    ({ InstanceID }) => InstanceID === point!.keys['InstanceID'],
  );
  return (row!['ResilientChangeTrackingIdentifiers'] as string[])[0]!;
}

/** What changed since, up to a fresh checkpoint; undefined when the host refuses. */
async function changesSince({ host }: TestHost, vmId: string, rctId: string) {
  const checkpoint = await recoveryCheckpoint(host, vmId);
  const { disks } = await host.vm(vmId);
  const frozen = disks[0]!.files.at(-2)!;
  const answer = await call(host, 'GetVirtualDiskChanges', {
    Path: frozen,
    LimitId: rctId,
    TargetSnapshotId: '',
    ByteOffset: 0n,
    ByteLength: BigInt(disks[0]!.size),
  });
  await created(host, 'DestroySnapshot', { AffectedSnapshot: checkpoint });
  if (answer.returnValue !== RETURN.done) return undefined;
  const lengths = answer.out['ChangedByteLengths'] as bigint[];
  return (answer.out['ChangedByteOffsets'] as bigint[]).map((offset, index) => ({
    offset: Number(offset),
    length: Number(lengths[index]),
  }));
}

async function leaf({ host }: TestHost, vmId: string): Promise<string> {
  return (await host.vm(vmId)).disks[0]!.files.at(-1)!;
}

test('a new checkpoint may be missing from listings by association for 15 s, while its job names it (facts: hyperv.md 1.2, lag)', async () => {
  const clock = new ManualClock();
  await using at = await hostWithVm({ listingDelayMs: 15_000 }, clock);
  const checkpoint = await recoveryCheckpoint(at.it.host, at.id);
  assert.deepEqual(await rows(at.it.host, 'Msvm_SnapshotOfVirtualSystem'), []);
  const all = await rows(at.it.host, 'Msvm_VirtualSystemSettingData');
  assert.ok(all.some(({ InstanceID }) => InstanceID === checkpoint.keys['InstanceID']));
  await clock.advance(15_001);
  assert.equal((await rows(at.it.host, 'Msvm_SnapshotOfVirtualSystem')).length, 1);
});

test('a job may be gone as soon as it has ended, its effect done (facts: hyperv.md 8.3 group 5)', async () => {
  await using at = await hostWithVm();
  await at.it.host.addFault({ method: 'CreateSnapshot', misbehaviour: { kind: 'vanish-job' } });
  const answer = await freeze(at.it, at.id);
  await at.it.host.settle();
  assert.equal(await jobOf(at.it.host, answer), undefined);
  assert.equal((await at.it.host.vm(at.id)).checkpoints.length, 1);
});

test('a job may end in 32768, completed with warnings, its effect done (facts: hyperv-classes.md, JobState handling)', async () => {
  await using at = await hostWithVm();
  await at.it.host.addFault({ method: 'CreateSnapshot', misbehaviour: { kind: 'warn-job' } });
  const answer = await freeze(at.it, at.id);
  await at.it.host.settle();
  assert.equal((await jobOf(at.it.host, answer))!.properties['JobState'], 32768);
  assert.equal((await at.it.host.vm(at.id)).checkpoints.length, 1);
});

test('a merge may stand still: the AVHDX stays and takes the writes, until it goes on (facts: hyperv.md 8.3 group 12)', async () => {
  await using at = await hostWithVm();
  const { host } = at.it;
  await host.holdMerges(at.id, true);
  const checkpoint = await recoveryCheckpoint(host, at.id);
  await created(host, 'DestroySnapshot', { AffectedSnapshot: checkpoint });
  assert.equal((await host.vm(at.id)).mergePending, true);
  assert.match(await leaf(at.it, at.id), /\.avhdx$/);
  await host.guestWrite(at.id, { offset: 0, bytes: Buffer.alloc(4 * KiB, 7) });
  await host.holdMerges(at.id, false);
  await host.settle();
  assert.match(await leaf(at.it, at.id), /\.vhdx$/);
  assert.deepEqual(await host.guestRead(at.id, { offset: 0, length: 3 }), new Uint8Array([7, 7, 7]));
});

test('a guest whose VSS is off, out of reach, too slow or fails has its checkpoint fail in its job, and none is left (facts: hyperv.md 8.1 item 8)', async () => {
  await using at = await hostWithVm({ vssTimeoutMs: 1 });
  const { host } = at.it;
  for (const vss of ['disabled', 'no-contact', 'timeout', 'fails'] as const) {
    await host.setGuest(at.id, { vss });
    const answer = await call(host, 'CreateSnapshot', {
      AffectedSystem: systemPath(at.id),
      SnapshotType: 32768,
      SnapshotSettings: {
        className: 'Msvm_VirtualSystemSnapshotSettingData',
        properties: { ConsistencyLevel: 1 },
      },
    });
    await host.settle();
    assert.equal((await jobOf(host, answer))!.properties['JobState'], 10, vss);
    assert.deepEqual((await host.vm(at.id)).checkpoints, [], vss);
  }
});

test('a resized disk keeps its tracking ids, and what it gained or lost counts as changed (by design)', async () => {
  await using at = await hostWithVm({ changes: { granularityBytes: 64 * KiB } });
  const id = await marked(at.it, at.id);
  const { diskId } = (await at.it.host.vm(at.id)).disks[0]!;
  await at.it.host.resizeDisk(at.id, diskId, SIZE + MiB);
  assert.deepEqual(await changesSince(at.it, at.id, id), [{ offset: SIZE, length: MiB }]);
});

test('ApplySnapshot is refused while the VM runs (facts: hyperv-classes.md, ApplySnapshot)', async () => {
  await using at = await hostWithVm();
  const Snapshot = await userCheckpoint(at.it, at.id);
  const answer = await call(at.it.host, 'ApplySnapshot', { Snapshot });
  assert.equal(answer.returnValue, RETURN.invalidState);
});

test('a revert to a checkpoint of a user brings its content back in a new leaf; the checkpoint stays (facts: hyperv-classes.md, ApplySnapshot)', async () => {
  await using at = await hostWithVm();
  const { host } = at.it;
  await host.guestWrite(at.id, { offset: 0, bytes: Buffer.alloc(4 * KiB, 1) });
  const Snapshot = await userCheckpoint(at.it, at.id);
  const before = await leaf(at.it, at.id);
  await host.guestWrite(at.id, { offset: 0, bytes: Buffer.alloc(4 * KiB, 2) });
  const { diskId } = (await host.vm(at.id)).disks[0]!;
  await host.setPower(at.id, 'off');
  await created(host, 'ApplySnapshot', { Snapshot });
  assert.notEqual(await leaf(at.it, at.id), before);
  assert.deepEqual(
    (await host.vm(at.id)).checkpoints.map(({ id }) => id),
    [idOf(Snapshot)],
  );
  await host.setPower(at.id, 'running');
  assert.deepEqual(await host.guestRead(at.id, { offset: 0, length: 1 }), new Uint8Array([1]));
  for (const seal of ['now', idOf(Snapshot)])
    assert.deepEqual(await host.truthRead(seal, { diskId, offset: 0, length: 1 }), new Uint8Array([1]));
  await host.guestWrite(at.id, { offset: MiB, bytes: Buffer.alloc(512, 3) });
  await host.close();
  at.it.host = await LabHost.open(at.it.folder, { settings: INSTANT });
  assert.deepEqual(await at.it.host.guestRead(at.id, { offset: 0, length: 1 }), new Uint8Array([1]));
  assert.deepEqual(
    await at.it.host.truthRead('now', { diskId, offset: MiB, length: 1 }),
    new Uint8Array([3]),
  );
});

test('after a revert an id of before the checkpoint answers what differs, one of after it is refused (by design)', async () => {
  await using at = await hostWithVm({ changes: { granularityBytes: 64 * KiB } });
  const { host } = at.it;
  const early = await marked(at.it, at.id);
  await host.guestWrite(at.id, { offset: 0, bytes: Buffer.alloc(512, 1) });
  const Snapshot = await userCheckpoint(at.it, at.id);
  await host.guestWrite(at.id, { offset: MiB, bytes: Buffer.alloc(512, 2) });
  const late = await marked(at.it, at.id);
  await host.setPower(at.id, 'off');
  await created(host, 'ApplySnapshot', { Snapshot });
  await host.setPower(at.id, 'running');
  await host.guestWrite(at.id, { offset: 2 * MiB, bytes: Buffer.alloc(512, 3) });
  assert.deepEqual(
    (await changesSince(at.it, at.id, early))!.map(({ offset }) => offset),
    [0, 2 * MiB],
  );
  assert.equal(await changesSince(at.it, at.id, late), undefined);
});

test('a host may also answer ids of after the checkpoint, without what was undone: wrong, and told by nothing (by design)', async () => {
  await using at = await hostWithVm({ changes: { granularityBytes: 64 * KiB }, undoneIds: 'answered' });
  const { host } = at.it;
  const early = await marked(at.it, at.id);
  await host.guestWrite(at.id, { offset: 0, bytes: Buffer.alloc(512, 1) });
  const Snapshot = await userCheckpoint(at.it, at.id);
  await host.guestWrite(at.id, { offset: MiB, bytes: Buffer.alloc(512, 2) });
  const late = await marked(at.it, at.id);
  await host.setPower(at.id, 'off');
  await created(host, 'ApplySnapshot', { Snapshot });
  await host.setPower(at.id, 'running');
  await host.guestWrite(at.id, { offset: 2 * MiB, bytes: Buffer.alloc(512, 3) });
  const offsets = async (id: string): Promise<number[]> =>
    (await changesSince(at.it, at.id, id))!.map(({ offset }) => offset);
  assert.deepEqual(await offsets(late), [2 * MiB]);
  assert.deepEqual(await offsets(early), [0, MiB, 2 * MiB], 'rather too much');
});

test('after a stop that was not clean more is reported than changed, never less (facts: hyperv.md 3.3)', async () => {
  const region = 2 * MiB;
  await using at = await hostWithVm({ changes: { granularityBytes: 64 * KiB }, regionBytes: region });
  const id = await marked(at.it, at.id);
  await at.it.host.guestWrite(at.id, { offset: 3 * MiB, bytes: Buffer.alloc(512, 1) });
  await at.it.host.guestWrite(at.id, { offset: 0, bytes: Buffer.alloc(512, 2), cached: true });
  await at.it.host.losePower();
  const settings = { ...INSTANT, regionBytes: region };
  at.it.host = await LabHost.open(at.it.folder, { settings });
  assert.deepEqual(await changesSince(at.it, at.id, id), [{ offset: region, length: region }]);
  assert.deepEqual(await at.it.host.guestRead(at.id, { offset: 3 * MiB, length: 1 }), new Uint8Array([1]));
  assert.deepEqual(await at.it.host.guestRead(at.id, { offset: 0, length: 1 }), new Uint8Array([0]));
});

test('services refuse in one of two families of numbers, the image service in one only (facts: hyperv-classes.md, return-code families)', async () => {
  await using at = await hostWithVm();
  const { host } = at.it;
  const refusals = async (): Promise<number[]> => [
    (await call(host, 'CreateSnapshot', { AffectedSystem: systemPath(at.id), SnapshotType: 9 })).returnValue,
    (await call(host, 'GetVirtualDiskChanges', { Path: 'C:\\nothing.vhdx' })).returnValue,
  ];
  assert.deepEqual(await refusals(), [RETURN.invalidParameter, RETURN.fileNotFound]);
  await host.configure({ returnCodes: 'cim' });
  assert.deepEqual(await refusals(), [4, RETURN.fileNotFound]);
  const gone = call(host, 'DestroySnapshot', { AffectedSnapshot: settingsPath(at.id) });
  await assert.rejects(gone, { status: 0x80041002 });
});

test('a guest takes its time to shut down, a hanging one for ever: EnabledState 4, and a second request is refused (facts: hyperv-classes.md, Msvm_ShutdownComponent)', async () => {
  await using it = await testHost({ shutdownMs: 40 });
  const { host } = it;
  const shutDown = async (): Promise<number> => {
    const [component] = await rows(host, 'Msvm_ShutdownComponent');
    const path = {
      className: 'Msvm_ShutdownComponent',
      keys: { SystemName: keyText(component!['SystemName']) },
    };
    return (await host.provider.invoke(path, 'InitiateShutdown', { Force: false, Reason: '' }, CALLER))
      .returnValue;
  };
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const enabled = async (): Promise<LabValue> =>
    (await rows(host, 'Msvm_ComputerSystem')).find((row) => row['Name'] === id)!['EnabledState']!;
  await host.guestWrite(id, { offset: 0, length: 512, seed: 1, cached: true });
  assert.equal(await shutDown(), 0);
  assert.equal(await enabled(), 4);
  while ((await enabled()) !== 3) await new Promise(setImmediate);
  const head = { diskId: disks[0]!.diskId, offset: 0, length: 512 };
  assert.ok((await host.truthRead('now', head)).some((byte) => byte !== 0));

  await host.setPower(id, 'running');
  await host.setGuest(id, { shutdown: 'disabled' });
  const [component] = await rows(host, 'Msvm_ShutdownComponent');
  assert.equal(component!['EnabledState'], 3);
  assert.equal(await shutDown(), 32780);
  await host.setGuest(id, { shutdown: 'hangs' });
  assert.equal(await shutDown(), 0);
  assert.equal(await shutDown(), 32782);
  await host.setPower(id, 'off');
  assert.equal(await enabled(), 3);
});

test('what a VM is told to do when its host starts is kept, and done (facts: hyperv-classes.md, AutomaticStartupAction)', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id } = await host.createVm({ name: 'vm' });
  const after = async (action: number, power: 'running' | 'off'): Promise<string> => {
    const SystemSettings = {
      className: 'Msvm_VirtualSystemSettingData',
      properties: { InstanceID: `Microsoft:${id}`, AutomaticStartupAction: action },
    };
    assert.equal((await call(host, 'ModifySystemSettings', { SystemSettings })).returnValue, 4096);
    await host.settle();
    const settings = await rows(host, 'Msvm_VirtualSystemSettingData');
    assert.equal(settings[0]!['AutomaticStartupAction'], action);
    await host.setPower(id, power);
    await host.restart();
    return (await host.vm(id)).power;
  };
  assert.equal(await after(2, 'running'), 'off');
  assert.equal(await after(3, 'running'), 'running');
  assert.equal(await after(3, 'off'), 'off');
  assert.equal(await after(4, 'off'), 'running');
});
