/** What methods answer, and what they refuse with which number. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { GiB, MiB } from '../../src/base/index.ts';
import { LabWmiError, type LabInstance, type LabPath, type LabValue } from '../cim.ts';
import { call, CALLER, created, idOf, jobOf, recoveryCheckpoint, rows, testHost } from './host.fixture.ts';
import type { LabHost } from './host.ts';
import { keyText, systemPath } from './object-paths.ts';

const isNotFound = (error: unknown): boolean => error instanceof LabWmiError && error.status === 0x80041002;

/** The ErrorCode of the job a method started, which must have ended in state 10. */
async function jobError(
  host: LabHost,
  method: string,
  parameters: Record<string, LabValue>,
): Promise<unknown> {
  const answer = await call(host, method, parameters);
  assert.equal(answer.returnValue, 4096);
  await host.settle();
  const job = await jobOf(host, answer);
  assert.equal(job?.properties['JobState'], 10);
  return job?.properties['ErrorCode'];
}

function snapshotOf(vmId: string, settings: Record<string, LabValue> = {}): Record<string, LabValue> {
  return {
    AffectedSystem: systemPath(vmId),
    SnapshotSettings: { className: 'Msvm_VirtualSystemSnapshotSettingData', properties: settings },
    SnapshotType: 32768,
  };
}

test('only one recovery checkpoint at a time; user checkpoints may be there before, and the frozen file is then an AVHDX', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  await created(host, 'CreateSnapshot', {
    AffectedSystem: systemPath(id),
    SnapshotSettings: null,
    SnapshotType: 2,
  });
  const recovery = await recoveryCheckpoint(host, id);
  assert.equal(await jobError(host, 'CreateSnapshot', snapshotOf(id)), 32768);
  const settings = await rows(host, 'Msvm_VirtualSystemSettingData');
  assert.deepEqual(
    settings.map((row) => row['VirtualSystemType']),
    [
      'Microsoft:Hyper-V:System:Realized',
      'Microsoft:Hyper-V:Snapshot:Realized',
      'Microsoft:Hyper-V:Snapshot:Recovery',
    ],
  );
  const user = settings[1]!['InstanceID'];
  assert.deepEqual((settings[2]!['Parent'] as LabPath).keys, { InstanceID: user });
  const media = await rows(host, 'Msvm_StorageAllocationSettingData');
  const frozen = media.find((row) => keyText(row['InstanceID']).includes(idOf(recovery)))!;
  assert.match((frozen['HostResource'] as string[])[0]!, /^C:\\VMs\\vm\\disk_[0-9A-F-]{36}\.avhdx$/);
  assert.equal((await host.vm(id)).disks[0]!.files[0], disks[0]!.files[0]);
});

test('the settings of the VM name the leaf, those of the checkpoint the frozen file, in the same places', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id } = await host.createVm({
    name: 'vm',
    generation: 1,
    disks: [{ size: 4 * MiB }, { size: 4 * MiB, at: { controller: 'scsi', slot: 5 } }],
  });
  const before = await rows(host, 'Msvm_StorageAllocationSettingData');
  const checkpoint = await recoveryCheckpoint(host, id);
  const after = await rows(host, 'Msvm_StorageAllocationSettingData');
  const at = (ownerId: string, list: typeof after): Map<string, string> =>
    new Map(
      list
        .filter((row) => keyText(row['InstanceID']).startsWith(`Microsoft:${ownerId}`))
        .map((row) => [
          keyText(row['InstanceID']).slice(ownerId.length + 10),
          (row['HostResource'] as string[])[0]!,
        ]),
    );
  assert.deepEqual(at(idOf(checkpoint), after), at(id, before));
  for (const [place, path] of at(id, after)) assert.notEqual(path, at(id, before).get(place));
  const resources = await rows(host, 'Msvm_ResourceAllocationSettingData');
  const own = resources.filter((row) => keyText(row['InstanceID']).startsWith(`Microsoft:${id}`));
  assert.deepEqual(
    own.map((row) => [row['ResourceType'], row['Address'], row['AddressOnParent']]),
    [
      [5, '0', undefined],
      [5, '1', undefined],
      [6, null, undefined],
      [17, undefined, '0'],
      [17, undefined, '5'],
    ],
  );
  const drive = own.at(-1)!;
  assert.deepEqual((drive['Parent'] as LabPath).keys['InstanceID'], own[2]!['InstanceID']);
});

test('the files of a checkpoint carry the identity of the disk, and blocks of 2 MiB', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  await recoveryCheckpoint(host, id);
  const [base, leaf] = (await host.vm(id)).disks[0]!.files;
  const infoOf = async (path: string): Promise<LabInstance['properties']> =>
    ((await call(host, 'GetVirtualHardDiskSettingData', { Path: path })).out['SettingData'] as LabInstance)
      .properties;
  const child = await infoOf(leaf!.toUpperCase());
  assert.equal(child['VirtualDiskId'], disks[0]!.diskId);
  assert.equal((await infoOf(base!))['VirtualDiskId'], disks[0]!.diskId);
  assert.deepEqual([child['Type'], child['Format'], child['BlockSize']], [4, 3, 2 * MiB]);
  assert.equal(child['ParentPath'], base);
  assert.equal(child['MaxInternalSize'], BigInt(4 * MiB));
  const { out } = await call(host, 'GetVirtualHardDiskState', { Path: leaf! });
  assert.equal((out['State'] as LabInstance).properties['InUse'], true);
});

test('GetVirtualDiskChanges refuses what it cannot answer', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  await recoveryCheckpoint(host, id);
  const [frozen, leaf] = (await host.vm(id)).disks[0]!.files;
  const limit = (await host.seals(id))[0]!.disks[0]!.rctId!;
  const ask = async (change: Record<string, LabValue>): Promise<number> => {
    const whole = { Path: frozen!, LimitId: limit, ByteOffset: 0n, ByteLength: BigInt(4 * MiB) };
    return (await call(host, 'GetVirtualDiskChanges', { ...whole, ...change })).returnValue;
  };
  await writeFile(join(host.volumesFolder, 'C', 'VMs', 'vm', 'other.vhd'), 'conectix');
  assert.equal(await ask({}), 0);
  assert.equal(await ask({ Path: frozen!.toLowerCase() }), 0);
  assert.equal(await ask({ Path: 'C:\\VMs\\vm\\nothing.vhdx' }), 32779);
  assert.equal(await ask({ Path: '\\\\other\\share\\a.vhdx' }), 32773);
  assert.equal(await ask({ Path: 'C:\\VMs\\..\\..\\host.json' }), 32773);
  assert.equal(await ask({ Path: 'C:\\VMs\\vm\\other.vhd' }), 32770);
  assert.equal(await ask({ Path: leaf! }), 32774);
  assert.equal(await ask({ LimitId: limit.replace(/1$/, '7') }), 32768);
  assert.equal(await ask({ LimitId: limit.toUpperCase() }), 32768);
  assert.equal(await ask({ LimitId: '' }), 32773);
  assert.equal(await ask({ ByteLength: BigInt(4 * MiB + 1) }), 32773);
  assert.equal(await ask({ ByteOffset: BigInt(4 * MiB) }), 32773);
  await host.configure({ strictByteLength: true });
  assert.equal(await ask({}), 32773);
  assert.equal(await ask({ ByteLength: BigInt(4 * MiB - 1) }), 0);
  await host.configure({ strictByteLength: false });
  await host.setPower(id, 'off');
  assert.equal(await ask({ Path: leaf! }), 0);
  await host.addFault({ method: 'GetVirtualDiskChanges', misbehaviour: { kind: 'answer-by-job' } });
  assert.equal(await ask({}), 4096);
});

test('an id is known while a reference point keeps it, also over newer ones, and not longer', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const points: { path: LabPath; rctId: string }[] = [];
  for (let i = 0; i < 3; i += 1) {
    const checkpoint = await recoveryCheckpoint(host, id);
    const path = (await created(host, 'ConvertToReferencePoint', { AffectedSnapshot: checkpoint }))!;
    const seal = (await host.seals(id)).find((one) => one.id === idOf(checkpoint))!;
    points.push({ path, rctId: seal.disks[0]!.rctId! });
    await host.guestWrite(id, { offset: i * MiB, length: 4096, seed: i });
  }
  const answers = async (): Promise<(bigint[] | number)[]> => {
    const checkpoint = await recoveryCheckpoint(host, id);
    const asked = points.map(async ({ rctId }) => {
      const { returnValue, out } = await call(host, 'GetVirtualDiskChanges', {
        Path: disks[0]!.files[0]!,
        LimitId: rctId,
        ByteOffset: 0n,
        ByteLength: BigInt(4 * MiB),
      });
      return returnValue === 0 ? (out['ChangedByteOffsets'] as bigint[]) : returnValue;
    });
    const all = await Promise.all(asked);
    await created(host, 'DestroySnapshot', { AffectedSnapshot: checkpoint });
    return all;
  };
  const [a, b, c] = [0n, BigInt(MiB), BigInt(2 * MiB)];
  assert.deepEqual(await answers(), [[a, b, c], [b, c], [c]]);
  await created(host, 'DestroyReferencePoint', { AffectedReferencePoint: points[1]!.path });
  assert.deepEqual(await answers(), [[a, b, c], 32768, [c]]);
  await assert.rejects(
    call(host, 'DestroyReferencePoint', { AffectedReferencePoint: points[1]!.path }),
    isNotFound,
  );
  await host.configure({ keepUnreferencedIds: true });
  await created(host, 'DestroyReferencePoint', { AffectedReferencePoint: points[0]!.path });
  assert.deepEqual(await answers(), [[a, b, c], 32768, [c]]);
});

test('another disk in the same slot keeps the id of the place: the reference point then names a disk it never saw', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  await created(host, 'ConvertToReferencePoint', { AffectedSnapshot: await recoveryCheckpoint(host, id) });
  const fresh = await host.replaceDisk(id, disks[0]!.diskId, { size: 4 * MiB, name: 'other' });
  const [point] = await rows(host, 'Msvm_VirtualSystemReferencePoint');
  const [medium] = await rows(host, 'Msvm_StorageAllocationSettingData');
  assert.deepEqual(point!['VirtualDiskIdentifiers'], [medium!['InstanceID']]);
  assert.deepEqual(medium!['HostResource'], ['C:\\VMs\\vm\\other.vhdx']);
  assert.equal(fresh.attachmentId, disks[0]!.attachmentId);
  assert.notEqual(fresh.diskId, disks[0]!.diskId);
  await host.configure({ unequalReferencePoints: true });
  const [unequal] = await rows(host, 'Msvm_VirtualSystemReferencePoint');
  assert.deepEqual(unequal!['ResilientChangeTrackingIdentifiers'], []);
});

test('application consistency needs a guest that answers; without VSS only a crash-consistent freeze is had', async () => {
  await using it = await testHost({ vssTimeoutMs: 1 });
  const { host } = it;
  const { id } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const vss = async (): Promise<LabValue[]> =>
    (await rows(host, 'Msvm_VssComponent')).flatMap((row) => [
      row['EnabledState']!,
      (row['OperationalStatus'] as number[])[0]!,
    ]);
  for (const [mode, shown] of [
    ['disabled', [3, 2]],
    ['no-contact', [2, 12]],
    ['timeout', [2, 2]],
    ['fails', [2, 2]],
  ] as const) {
    await host.setGuest(id, { vss: mode });
    assert.deepEqual(await vss(), shown);
    assert.equal(
      await jobError(host, 'CreateSnapshot', snapshotOf(id, { ConsistencyLevel: 1 })),
      32768,
      mode,
    );
  }
  assert.deepEqual((await host.vm(id)).checkpoints, []);
  await recoveryCheckpoint(host, id, 2);
  await host.setPower(id, 'off');
  assert.deepEqual(await vss(), []);
});

test('a pass-through disk stops a checkpoint unless it may be skipped, and is then not in it', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  await host.addDrive(id, { kind: 'physical', path: '1' });
  await host.addDrive(id, { kind: 'dvd', path: 'C:\\iso\\setup.iso' });
  assert.equal(await jobError(host, 'CreateSnapshot', snapshotOf(id)), 32768);
  await created(host, 'CreateSnapshot', snapshotOf(id, { IgnoreNonSnapshottableDisks: true }));
  assert.equal((await host.seals(id))[0]!.disks.length, 1);
  const subTypes = (await rows(host, 'Msvm_ResourceAllocationSettingData')).map(
    (row) => row['ResourceSubType'],
  );
  assert.ok(subTypes.includes('Microsoft:Hyper-V:Physical Disk Drive'));
});

test('a user checkpoint cannot become a reference point; a checkpoint tree goes as a whole', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const user = { AffectedSystem: systemPath(id), SnapshotType: 2 };
  const first = (await created(host, 'CreateSnapshot', user))!;
  await created(host, 'CreateSnapshot', user);
  assert.equal(await jobError(host, 'ConvertToReferencePoint', { AffectedSnapshot: first }), 32768);
  await created(host, 'DestroySnapshotTree', { SnapshotSettingData: first });
  const vm = await host.vm(id);
  assert.deepEqual([vm.checkpoints, vm.disks[0]!.files.length], [[], 1]);
  await assert.rejects(call(host, 'DestroySnapshot', { AffectedSnapshot: first }), isNotFound);
});

test('a checkpoint is renamed by its key and its name; the complete instance fails, and of notes one stays', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const checkpoint = await recoveryCheckpoint(host, id);
  const settings = (properties: Record<string, LabValue>): Record<string, LabValue> => ({
    SystemSettings: { className: 'Msvm_VirtualSystemSettingData', properties },
  });
  const key = { InstanceID: checkpoint.keys['InstanceID']! };
  await created(host, 'ModifySystemSettings', settings({ ...key, ElementName: 'hvlift 1' }));
  assert.equal((await host.vm(id)).checkpoints[0]!.name, 'hvlift 1');
  const whole = settings({ ...key, ElementName: 'x', VirtualSystemType: 'y' });
  assert.equal(await jobError(host, 'ModifySystemSettings', whole), 32773);
  await created(
    host,
    'ModifySystemSettings',
    settings({ InstanceID: `Microsoft:${id.toLowerCase()}`, ElementName: 'new', Notes: ['a\nb', 'c'] }),
  );
  const [own] = await rows(host, 'Msvm_VirtualSystemSettingData');
  assert.deepEqual([own!['ElementName'], own!['Notes']], ['new', ['a\nb']]);
  assert.equal(
    (await call(host, 'ModifySystemSettings', { SystemSettings: 'no instance' })).returnValue,
    32773,
  );
});

test('two VMs may share a name; the host row has the name of the computer for a Name', async () => {
  await using it = await testHost();
  const { host } = it;
  const first = await host.createVm({ name: "O'Brien \\ %" });
  await host.createVm({ name: "O'Brien \\ %" });
  const systems = await rows(host, 'Msvm_ComputerSystem');
  assert.deepEqual(
    systems.map((row) => row['ElementName']),
    ['HV01', "O'Brien \\ %", "O'Brien \\ %"],
  );
  assert.equal(systems[0]!['Name'], 'HV01');
  await assert.rejects(host.vm("O'Brien \\ %"), /2 VMs/);
  assert.equal((await host.vm(first.id.toLowerCase())).id, first.id);
});

test('power: transitions by RequestStateChange, a clean shutdown that flushes, a hard one that loses the cache', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const request = async (state: number): Promise<number> => {
    const { returnValue } = await host.provider.invoke(
      systemPath(id),
      'RequestStateChange',
      { RequestedState: state },
      CALLER,
    );
    await host.settle();
    return returnValue;
  };
  const enabled = async (): Promise<LabValue> =>
    (await rows(host, 'Msvm_ComputerSystem')).find((row) => row['Name'] === id)!['EnabledState']!;
  for (const [state, shown] of [
    [9, 9],
    [2, 2],
    [6, 6],
    [2, 2],
  ] as const) {
    assert.equal(await request(state), 4096);
    assert.equal(await enabled(), shown);
  }
  assert.equal(await request(2), 32775);
  await host.guestWrite(id, { offset: 0, length: 512, seed: 1, cached: true });
  assert.equal(await request(3), 4096);
  assert.equal(await enabled(), 3);
  const head = { diskId: disks[0]!.diskId, offset: 0, length: 512 };
  assert.ok(
    (await host.truthRead('now', head)).every((byte) => byte === 0),
    'the cache is lost',
  );
  await assert.rejects(host.guestWrite(id, { offset: 0, length: 512 }), /does not run/);
  await request(2);
  await host.guestWrite(id, { offset: 0, length: 512, seed: 1, cached: true });
  const shutDown = async (force: boolean): Promise<number> => {
    const [component] = await rows(host, 'Msvm_ShutdownComponent');
    const path = {
      className: 'Msvm_ShutdownComponent',
      keys: { SystemName: keyText(component!['SystemName']) },
    };
    return (await host.provider.invoke(path, 'InitiateShutdown', { Force: force, Reason: 'test' }, CALLER))
      .returnValue;
  };
  await host.setGuest(id, { shutdown: 'not-ready' });
  assert.equal(await shutDown(false), 32780);
  await host.setGuest(id, { shutdown: 'locked' });
  assert.equal(await shutDown(false), 32781);
  assert.equal(await shutDown(true), 0);
  assert.equal(await enabled(), 3);
  assert.ok(
    (await host.truthRead('now', head)).some((byte) => byte !== 0),
    'the cache was written out',
  );
});

test('the summary has what was asked for and nothing else', async () => {
  await using it = await testHost();
  const { host } = it;
  const { id } = await host.createVm({ name: 'vm', power: 'off', memoryMiB: 512 });
  await host.createVm({ name: 'other' });
  const { out } = await call(host, 'GetSummaryInformation', {
    SettingData: [{ className: 'Msvm_VirtualSystemSettingData', keys: { InstanceID: `Microsoft:${id}` } }],
    RequestedInformation: [0, 1, 100],
  });
  const summaries = out['SummaryInformation'] as LabInstance[];
  assert.deepEqual(
    summaries.map(({ properties }) => properties),
    [{ InstanceID: `Microsoft:${id}`, Name: id, ElementName: 'vm', EnabledState: 3 }],
  );
  const all = await call(host, 'GetSummaryInformation', {});
  assert.equal((all.out['SummaryInformation'] as LabInstance[]).length, 2);
});

test('what does not exist is WBEM_E_NOT_FOUND: a VM, a service key, a method', async () => {
  await using it = await testHost();
  const { host } = it;
  await assert.rejects(
    call(host, 'CreateSnapshot', snapshotOf('00000000-0000-0000-0000-000000000000')),
    isNotFound,
  );
  const wrongKey = { className: 'Msvm_ImageManagementService', keys: { Name: 'other' } };
  await assert.rejects(host.provider.invoke(wrongKey, 'GetVirtualDiskChanges', {}, CALLER), isNotFound);
  const path = { className: 'Msvm_ImageManagementService', keys: {} };
  await assert.rejects(host.provider.invoke(path, 'CompactVirtualHardDisk', {}, CALLER), LabWmiError);
});

test('a disk of 64 TiB costs no more than what is written to it', async () => {
  await using it = await testHost();
  const { host } = it;
  const size = 64 * 1024 * GiB;
  const { id, disks } = await host.createVm({ name: 'vm', disks: [{ size }] });
  await host.guestWrite(id, { offset: size - 4096, length: 4096, seed: 1 });
  await recoveryCheckpoint(host, id);
  await host.guestWrite(id, { offset: 0, length: 4096, seed: 2 });
  const tail = { diskId: disks[0]!.diskId, offset: size - 4096, length: 4096 };
  assert.ok(Buffer.from(await host.guestRead(id, tail)).equals(await host.truthRead('now', tail)));
});
