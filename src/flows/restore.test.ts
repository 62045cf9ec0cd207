import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MiB, newGuid } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { createMemoryStore } from '../objectstore/index.ts';
import { createRepository } from '../repository/index.ts';
import { restorePoint } from './restore.ts';

test('disks are restored although the settings of the VM are lost, and that is said', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-restore-'));
  try {
    const { repository } = await createRepository(createMemoryStore(), { encryption: 'none' });
    const disk = new MemoryDisk(2 * MiB);
    await disk.write(MiB, Buffer.alloc(4096, 7));
    await using session = await repository.startSession({ workers: 0 });
    const extents = [{ offset: 0, length: disk.size }];
    const { root } = await session.ingestDisk({ reader: disk, extents, size: disk.size });
    const point = await session.commit({
      runId: newGuid(),
      vm: { id: newGuid(), name: 'vm', host: 'host', configuration: '0'.repeat(64) },
      consistency: { asked: 'crash', reached: 'crash' },
      disks: [
        {
          diskId: newGuid(),
          attachment: { controller: 'scsi', controllerNumber: 0, slot: 0 },
          path: 'C:\\vm.vhdx',
          size: disk.size,
          logicalSectorSize: 512,
          physicalSectorSize: 4096,
          root,
          kind: 'full',
          reason: 'first-backup',
        },
      ],
    });
    const record = await restorePoint(repository, { point, folder, format: 'raw' });
    assert.deepEqual(
      record.warnings.map(({ code }) => code),
      ['FLOW_SETTINGS_LOST'],
    );
    assert.deepEqual(await readdir(folder), ['vm.raw']);
    assert.equal((await stat(join(folder, 'vm.raw'))).size, disk.size);
  } finally {
    await rm(folder, { recursive: true });
  }
});
