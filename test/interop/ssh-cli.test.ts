/** The program as its user runs it, with everything of the host through its SSH server: control by a tunnel, disks by SFTP. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { startWire } from '../../lab/wire/index.ts';
import { MiB } from '../../src/base/index.ts';
import { assertFailed, CliHome, type LabProcess } from '../e2e/cli.fixture.ts';
import { requiresSshd, startSshd } from './sshd.fixture.ts';

const ACCOUNT = { user: 'Administrator', password: 'Passw0rd of a test' };

test(
  'a host of which only SSH is reachable is tested, backed up and verified; an unknown host key stops a script',
  requiresSshd('the command line with a host behind SSH'),
  async () => {
    await using sshd = await startSshd();
    const lab = await LabHost.open(sshd.pathOf('/lab'), { settings: INSTANT });
    const wire = await startWire({ provider: lab.provider, users: [ACCOUNT] });
    const { url } = wire;
    try {
      const { id } = await lab.createVm({ name: 'db', disks: [{ size: 20 * MiB }] });
      await lab.guestRun(id, { seed: 1, writes: 60 });
      const { user } = ACCOUNT;
      const passwordFile = join(sshd.folder, 'password');
      await writeFile(passwordFile, ACCOUNT.password, { mode: 0o600 });
      // Of a lab with a process of its own, a home needs the address only.
      const address = { url, user, passwordFile, mappings: [] };
      await using home = await CliHome.open({ address } as unknown as LabProcess);
      const folder = `/${relative(sshd.pathOf('/'), lab.volumesFolder)}/C`;
      const add = async (name: string, ...pin: readonly string[]): Promise<void> => {
        const account = ['--url', url, '--user', user, '--password-file', passwordFile];
        const files = ['--sftp', '--map', `C:\\=${folder}`];
        const login = ['--ssh-user', sshd.target.user, '--ssh-key-file', sshd.keyFile];
        const ssh = ['--via-ssh', '--ssh-port', String(sshd.port), ...login, ...pin];
        await home.ok('host', 'add', name, ...account, ...files, ...ssh);
      };

      await add('pinned', '--ssh-fingerprint', sshd.fingerprint('ed25519'));
      const { checks } = (await home.ok('host', 'test', 'pinned', '--json')).json() as {
        checks: readonly { detail: string }[];
      };
      const details = checks.map(({ detail }) => detail).join('\n');
      assert.match(details, /^native\n.* through SSH by 127\.0\.0\.1\n.*\n.*files by SFTP/);
      await home.ok('backup', 'db', '--host', 'pinned', '--passphrase-file', 'passphrase');
      await home.ok('verify', '--all', '--passphrase-file', 'passphrase');

      await add('unpinned');
      const refused = await home.run('vms', '--host', 'unpinned', '--json');
      assertFailed(refused, { exit: 2, code: 'SSH_HOST_KEY_UNKNOWN' });
      await mkdir(home.path('.ssh'));
      const known = `[127.0.0.1]:${sshd.port} ${sshd.publicKey('ed25519')}\n`;
      await writeFile(home.path('.ssh', 'known_hosts'), known);
      await home.ok('vms', '--host', 'unpinned');
    } finally {
      await wire.close();
      await lab.close();
    }
  },
);
