/** The main job with the host's disks served by Samba: control over sealed WinRM from the lab, data over encrypted SMB. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSmbHostFiles } from '../../src/hostfile/index.ts';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { assertBacksUpExactly, startCutLink } from './backup-over-link.fixture.ts';
import { requiresSamba, startSamba } from './samba.fixture.ts';

test(
  'a full and two increments over SMB restore exactly, with the link cut again and again',
  requiresSamba('backup with disks served over SMB'),
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-smb-backup-'));
    await chmod(folder, 0o755);
    const lab = await LabHost.open(join(folder, 'lab'), { settings: INSTANT });
    await using samba = await startSamba({
      shares: { C$: [`path = ${join(lab.volumesFolder, 'C')}`, 'force user = root'] },
    });
    await using link = await startCutLink(samba.port);
    const files = createSmbHostFiles({ ...samba.target, port: link.port });
    try {
      await assertBacksUpExactly(lab, files, link, folder);
    } finally {
      await lab.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
);
