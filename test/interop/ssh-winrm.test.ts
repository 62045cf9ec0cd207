/** WinRM through SSH: the lab is reached only by what OpenSSH passes on. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { startWire } from '../../lab/wire/index.ts';
import { MiB } from '../../src/base/index.ts';
import { createHyperV } from '../../src/hyperv/index.ts';
import { createSshTunnel } from '../../src/ssh/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';
import { requiresSshd, startSshd } from './sshd.fixture.ts';

const ACCOUNT = { user: 'Administrator', password: 'Passw0rd of a test' };

test(
  'VMs of the lab are listed through a tunnel, also after it broke, and calls at once have connections of their own',
  requiresSshd('WinRM through an SSH tunnel'),
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-ssh-winrm-'));
    const lab = await LabHost.open(folder, { settings: INSTANT });
    const wire = await startWire({ provider: lab.provider, users: [ACCOUNT] });
    await using sshd = await startSshd();
    await using tunnel = createSshTunnel(sshd.target);
    const asked: string[] = [];
    const port = Number(new URL(wire.url).port);
    const session = await openWinrm({
      // A name that only the far end could resolve.
      url: `http://hv1.invalid:${port}/wsman`,
      credentials: ACCOUNT,
      createConnection: (host, port, signal) => {
        asked.push(`${host}:${port}`);
        return tunnel.connect('127.0.0.1', port, signal);
      },
    });
    try {
      const hyperv = createHyperV(session, { pollMs: 5 });
      await lab.createVm({ name: 'web01', disks: [{ size: MiB }] });
      const names = async (): Promise<string[]> => (await hyperv.vms()).map(({ name }) => name);
      assert.deepEqual(await names(), ['web01']);
      await sshd.kill();
      await sshd.start();
      assert.deepEqual(await Promise.all([names(), names(), names()]), [['web01'], ['web01'], ['web01']]);
      assert.deepEqual([...new Set(asked)], [`hv1.invalid:${port}`]);
    } finally {
      await session.close();
      await wire.close();
      await lab.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
);
