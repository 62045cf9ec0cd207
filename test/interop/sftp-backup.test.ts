/** The main job with the disks of the host served by OpenSSH: control over sealed WinRM from the lab, data over SFTP. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSftpHostFiles } from '../../src/hostfile/index.ts';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { assertBacksUpExactly, startCutLink } from './backup-over-link.fixture.ts';
import { requiresSshd, startSshd } from './sshd.fixture.ts';

test(
  'a full and two increments over SFTP restore exactly, with the link cut again and again',
  requiresSshd('backup with disks served over SFTP'),
  async () => {
    await using sshd = await startSshd();
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-sftp-backup-'));
    const lab = await LabHost.open(sshd.pathOf('/lab'), { settings: INSTANT });
    await using link = await startCutLink(sshd.port);
    const files = createSftpHostFiles({
      ...sshd.target,
      port: link.port,
      mappings: [{ from: 'C:\\', to: lab.volumesFolder.slice(sshd.pathOf('').length) + '/C' }],
    });
    try {
      await assertBacksUpExactly(lab, files, link, folder);
    } finally {
      await lab.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
);
