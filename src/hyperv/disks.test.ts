import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { rig } from './testing/rig.fixture.ts';

test('IDE controllers are numbered by address, SCSI controllers by order, slots by the drive', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('many', { controllers: ['ide', 'ide', 'scsi', 'scsi', 'scsi', 'scsi', 'scsi'] });
  host.addDisk(vm, 'C:\\boot.vhdx', { controller: 0, slot: 1 });
  host.addDisk(vm, 'C:\\ide1.vhdx', { controller: 1, slot: 0 });
  host.addDisk(vm, 'C:\\scsi0.vhdx', { controller: 2, slot: 63 });
  host.addDisk(vm, 'C:\\scsi4.vhdx', { controller: 6, slot: 5 });
  host.addDisk(vm, 'C:\\setup.iso', { controller: 1, slot: 1, subType: 'Virtual CD/DVD Disk' });
  const disks = await hyperv.disks(vm.guid.toLowerCase());
  assert.deepEqual(
    disks.map((disk) => `${disk.controller.kind}${disk.controller.number}:${disk.slot} ${disk.path}`),
    ['ide0:1 C:\\boot.vhdx', 'ide1:0 C:\\ide1.vhdx', 'scsi0:63 C:\\scsi0.vhdx', 'scsi4:5 C:\\scsi4.vhdx'],
  );
});

test('a pass-through disk is listed as one, with its place', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('raw');
  host.addDisk(vm, '\\\\HV1\\root\\virtualization\\v2:Msvm_DiskDrive.DeviceID="x"', {
    slot: 3,
    subType: 'Physical Disk Drive',
  });
  const [disk] = await hyperv.disks(vm.guid.toLowerCase());
  assert.equal(disk!.kind, 'passthrough');
  assert.equal(disk!.slot, 3);
});

test('with a checkpoint of either kind the settings show the active file, the checkpoint the frozen one', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('web');
  host.addDisk(vm, 'C:\\VMs\\web\\disk.vhdx');
  host.freeze(vm, 'before update', 'Microsoft:Hyper-V:Snapshot:Realized');
  host.freeze(vm, 'backup');
  const id = vm.guid.toLowerCase();
  const [user, recovery] = await hyperv.checkpoints(id);
  assert.deepEqual([user!.kind, recovery!.kind], ['user', 'recovery']);
  const [leaf] = await hyperv.disks(id);
  const [frozenByUser] = await hyperv.checkpointDisks(user!);
  const [frozen] = await hyperv.checkpointDisks(recovery!);
  assert.equal(frozenByUser!.path, 'C:\\VMs\\web\\disk.vhdx');
  assert.equal(leaf!.path, vm.disks[0]!.path);
  assert.equal((await hyperv.diskInfo(leaf!.path)).parentPath, frozen!.path);
  assert.equal((await hyperv.diskInfo(frozen!.path)).parentPath, frozenByUser!.path);
  const ids = await Promise.all([leaf!, frozen!, frozenByUser!].map((disk) => hyperv.diskInfo(disk.path)));
  assert.equal(new Set(ids.map((info) => info.virtualDiskId)).size, 1);
});

test('two settings, or only checkpoints in their place, are refused rather than guessed at', async () => {
  const { host, session, hyperv } = rig();
  const vm = host.addVm('web');
  host.freeze(vm, 'backup');
  const select = session.query.bind(session);
  for (const rows of ['none', 'two']) {
    session.query = async function* (cls, text, options) {
      const isSettings = text.includes('Msvm_SettingsDefineState');
      for await (const row of select(
        cls,
        isSettings ? text.replace('SettingsDefineState', 'SnapshotOfVirtualSystem') : text,
        options,
      )) {
        yield row;
      }
      if (isSettings && rows === 'two') {
        yield* select(cls, text, options);
        yield* select(cls, text, options);
      }
    };
    await assert.rejects(hyperv.disks(vm.guid), (error) => hasCode(error, 'HYPERV_UNEXPECTED_ANSWER'));
  }
});

test('a disk whose drive or controller is missing from the answer is refused', async () => {
  const { host, session, hyperv } = rig();
  const vm = host.addVm('web');
  host.addDisk(vm, 'C:\\a.vhdx');
  const select = session.query.bind(session);
  session.query = async function* (cls, text, options) {
    for await (const row of select(cls, text, options)) {
      if (!('AddressOnParent' in row)) yield row;
    }
  };
  await assert.rejects(hyperv.disks(vm.guid), (error) => hasCode(error, 'HYPERV_UNEXPECTED_ANSWER'));
});

test('what the host says about a file becomes plain numbers; a missing file is named', async () => {
  const { host, hyperv } = rig();
  const vm = host.addVm('web');
  const disk = host.addDisk(vm, 'C:\\a.vhdx');
  assert.deepEqual(await hyperv.diskInfo('C:\\A.vhdx'), {
    virtualDiskId: disk.diskId.toLowerCase(),
    size: 1 << 30,
    format: 'vhdx',
    kind: 'dynamic',
    blockSize: 1 << 25,
    logicalSectorSize: 512,
    physicalSectorSize: 4096,
  });
  await assert.rejects(hyperv.diskInfo('C:\\b.vhdx'), (error) => hasCode(error, 'HYPERV_DISK_MISSING'));
});
