/** The main job with the disks of the host served by OpenSSH: control over sealed WinRM from the lab, data over SFTP. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { startWire } from '../../lab/wire/index.ts';
import { KiB, MiB } from '../../src/base/index.ts';
import { createHyperVSource } from '../../src/capture/index.ts';
import { backupVm, restorePoint } from '../../src/flows/index.ts';
import { createSftpHostFiles } from '../../src/hostfile/index.ts';
import { createHyperV } from '../../src/hyperv/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository } from '../../src/repository/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';
import { requiresSshd, startSshd } from './sshd.fixture.ts';
import { startLink } from './shaky-link.fixture.ts';

const ACCOUNT = { user: 'Administrator', password: 'Passw0rd of a test' };

test(
  'a full and an increment over SFTP restore exactly, with the link cut again and again',
  requiresSshd('backup with disks served over SFTP'),
  async () => {
    await using sshd = await startSshd();
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-sftp-backup-'));
    const lab = await LabHost.open(sshd.pathOf('/lab'), { settings: INSTANT });
    const wire = await startWire({ provider: lab.provider, users: [ACCOUNT] });
    const session = await openWinrm({ url: wire.url, credentials: ACCOUNT });
    await using link = await startLink(sshd.port, {
      toClient(bytes, passed, self) {
        if (passed > 6 * MiB) self.cut();
        return bytes;
      },
    });
    const files = createSftpHostFiles({
      ...sshd.target,
      port: link.port,
      mappings: [{ from: 'C:\\', to: lab.volumesFolder.slice(sshd.pathOf('').length) + '/C' }],
    });
    try {
      const hyperv = createHyperV(session, { pollMs: 5 });
      const source = createHyperVSource({ hyperv, files, hostName: 'HV01' });
      const store = await openDirectoryStore(join(folder, 'repository'), { create: true });
      const { repository } = await createRepository(store, { encryption: { passphrase: 'of this test' } });
      const deps = { source, repository, resolveVm: (name: string) => hyperv.vm(name) };

      const { id } = await lab.createVm({ name: 'web01', disks: [{ size: 64 * MiB }, { size: 33 * MiB }] });
      await lab.guestRun(id, { seed: 1, writes: 60 });
      await lab.guestWrite(id, { offset: 0, length: 30 * MiB, seed: 2 });
      const records = [await backupVm(deps, { vm: 'web01' })];
      await lab.guestWrite(id, { offset: 20 * MiB, length: 640 * KiB, seed: 3 });
      records.push(await backupVm(deps, { vm: 'web01' }));

      assert.deepEqual(
        records.map(({ outcome }) => outcome),
        ['ok', 'ok'],
      );
      assert.equal(records[1]!.disks[0]!.kind, 'delta');
      const seals = await lab.seals(id);
      for (const [index, { pointId }] of records.entries()) {
        const to = join(folder, `restore ${index}`);
        const point = await repository.point(pointId);
        const restored = await restorePoint(repository, { point, folder: to, format: 'raw' });
        for (const disk of restored.disks) {
          assert.equal(await lab.compareImage(seals[index]!.id, disk.diskId, disk.path), null);
        }
      }
      assert.ok(link.seen.connections > 3, `${link.seen.connections} connections`);
    } finally {
      await files.close();
      await session.close();
      await wire.close();
      await lab.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
);
