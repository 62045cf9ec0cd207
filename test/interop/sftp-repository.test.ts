/** A repository on an SSH server, by the program, with OpenSSH at the other end. */
import { mkdir, readdir } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../../src/base/index.ts';
import { assertFailed } from '../e2e/cli.fixture.ts';
import { openRemoteRepository } from './remote-repository.fixture.ts';
import { requiresSshd, startSshd } from './sshd.fixture.ts';

test(
  'backup, increment, restore and verify over sftp://; a server that is killed under a backup is waited for',
  requiresSshd('that repositories work over SFTP'),
  async () => {
    await using sshd = await startSshd();
    await mkdir(sshd.pathOf('/backup'));
    // The user of SFTP is Debian's `backup`.
    spawnSync('chown', ['backup', sshd.pathOf('/backup')]);
    const { user, host } = sshd.target;
    const address = `sftp://${user}@${host}:${sshd.port}/backup/repo`;
    const ssh = { keyFile: sshd.keyFile, fingerprint: sshd.fingerprint('ed25519') };
    await using remote = await openRemoteRepository(async () => ({
      address,
      config: { ssh },
      diskBytes: 40 * MiB,
    }));
    await remote.change(1, 120);
    const backup = remote.start('backup', 'db', '--rate', '10MiB');
    await backup.said('checkpoint');
    await sshd.kill();
    await sleep(1500);
    assert.equal(backup.process.exitCode, null, 'the backup was under way, and waits');
    await sshd.start();
    const { code, stderr } = await backup.ended;
    assert.equal(code, 0, stderr);
    await remote.change(2, 10);
    await remote.ok('backup', 'db');
    await remote.assertRestores('restored');
    await remote.ok('verify', '--all');
    const { findings } = (await remote.ok('doctor', 'repo', '--repo', 'remote', '--json')).json();
    assert.ok(findings.length > 8);
    assert.ok(findings.every(({ state }: { state: string }) => state === 'ok'));
    const left = await readdir(sshd.pathOf('/backup/repo/probe'), { recursive: true, withFileTypes: true });
    assert.ok(
      left.every((entry) => entry.isDirectory()),
      'SFTP removes files; empty folders stay',
    );
    const again = await remote.home.run('init', '--repo', 'remote');
    assertFailed(again, { exit: 2, code: 'REPO_ALREADY_INITIALISED' });
  },
);
