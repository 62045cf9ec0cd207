/** The settings of a VM as they are read over the wire, for VMs of both generations. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { createHyperVSource } from '../../src/capture/index.ts';
import { pointsEngine } from '../../src/cli/points-engine.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { backupVm, restorePoint } from '../../src/flows/index.ts';
import { createFsHostFiles, type HostFiles } from '../../src/hostfile/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository } from '../../src/repository/index.ts';
import { openLabStack } from './lab-stack.fixture.ts';

test('the settings of VMs of both generations are read over WS-Management, each VM its own', async () => {
  await using stack = await openLabStack();
  const disks = [{ size: 4 * MiB }];
  const { id: modern } = await stack.lab.createVm({ name: 'modern', processors: 3, memoryMiB: 3072, disks });
  const { id: old } = await stack.lab.createVm({ name: 'old', generation: 1, notes: ['a note'], disks });
  const [second, first] = await Promise.all([
    stack.hyperv.configuration(modern.toLowerCase()),
    stack.hyperv.configuration(old.toLowerCase()),
  ]);
  assert.deepEqual([second.processors, second.memory!.startupMiB], [3, 3072]);
  assert.deepEqual(
    second.firmware.bootSources!.map(({ kind }) => kind),
    ['drive', 'network'],
  );
  assert.equal(second.firmware.secureBootTemplate, 'MicrosoftWindows');
  assert.deepEqual(first.controllers, [
    { kind: 'ide', number: 0 },
    { kind: 'ide', number: 1 },
    { kind: 'scsi', number: 0 },
  ]);
  assert.deepEqual(first.firmware.bootOrder, [1, 2, 3, 0]);
  assert.ok(!('bootSources' in first.firmware));
  assert.deepEqual(first.notes, ['a note']);
  for (const { networkAdapters, integrationServices, automatic, security } of [first, second]) {
    assert.equal(networkAdapters.length, 1);
    assert.deepEqual([networkAdapters[0]!.switchName, networkAdapters[0]!.connected], ['LAN', true]);
    assert.equal(networkAdapters[0]!.vlan!.mode, 'access');
    assert.deepEqual([integrationServices.shutdown, integrationServices.guestServices], [true, false]);
    assert.deepEqual([automatic.start, automatic.stop], ['if-it-ran', 'save']);
    assert.equal(security.tpm, false);
  }
  assert.notEqual(first.networkAdapters[0]!.macAddress, second.networkAdapters[0]!.macAddress);
});

/** The lab keeps no files of settings: here a checkpoint has a `.vmcx`, with its own name in it. */
function withSettingsFiles(files: HostFiles): HostFiles {
  return {
    async open(path, options) {
      if (!path.endsWith('.vmcx')) return files.open(path, options);
      const disk = new MemoryDisk(200);
      await disk.write(0, Buffer.from(path));
      return disk;
    },
    describe: () => files.describe(),
    close: () => files.close(),
  };
}

test('a backup keeps the settings file of its checkpoint; a point is shown with its VM and what changed', async () => {
  await using stack = await openLabStack();
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-configuration-'));
  const path = join(folder, 'repository');
  const plain = createFsHostFiles({ mappings: [{ from: 'C:\\', to: join(stack.lab.volumesFolder, 'C') }] });
  const files = withSettingsFiles(plain);
  try {
    const { repository } = await createRepository(await openDirectoryStore(path, { create: true }), {
      encryption: 'none',
    });
    const { id } = await stack.lab.createVm({ name: 'web01', disks: [{ size: 16 * MiB }] });
    const { hyperv } = stack;
    const source = createHyperVSource({ hyperv, files, hostName: 'HV01' });
    const deps = { source, repository, resolveVm: hyperv.vm.bind(hyperv) };
    const first = await backupVm(deps, { vm: id, workers: 0 });
    await stack.lab.guestWrite(id, { offset: 3 * MiB, length: 64 * KiB, seed: 1 });
    const second = await backupVm(deps, { vm: id, workers: 0 });
    assert.deepEqual(second.warnings, []);
    const point = await repository.point(second.pointId);
    const [file] = point.vm.files!;
    assert.match(file!.path, /\\Snapshots\\[0-9A-F-]{36}\.vmcx$/);
    const to = join(folder, 'restored');
    await restorePoint(repository, { point, folder: to, format: 'raw' });
    const name = basename(file!.path.replaceAll('\\', '/'));
    assert.ok((await readFile(join(to, 'host-files', name))).includes(file!.path));

    const task = {
      signal: AbortSignal.timeout(60_000),
      progress: { phase() {}, advance() {}, note() {} },
    };
    const access = { path, unlock: () => Promise.reject(new Error('it is not encrypted')) };
    const shown = await pointsEngine.showPoint(
      { repository: access, point: { kind: 'latest', vm: 'web01' }, why: true },
      task,
    );
    assert.equal(shown.id, second.pointId);
    assert.equal(shown.parent, first.pointId);
    assert.equal((shown.configuration as { generation: number }).generation, 2);
    const [disk] = shown.why!.disks;
    assert.deepEqual(
      [disk!.comparedWith, disk!.changedBytes, disk!.writtenBytes, disk!.overReportedBytes],
      [first.pointId, 64 * KiB, 64 * KiB, 0],
    );
    assert.deepEqual(
      disk!.regions.map(({ offset, length }) => [offset, length]),
      [[3 * MiB, 64 * KiB]],
    );
  } finally {
    await files.close();
    await rm(folder, { recursive: true });
  }
});
