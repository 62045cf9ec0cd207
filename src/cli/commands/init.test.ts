import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandLine } from '../command-line.fixture.ts';
import { PASSPHRASE, RECOVERY_KEY } from '../fake-engine.fixture.ts';
import type { Secret } from '../secret.ts';

const env = { HVLIFT_PASSPHRASE: PASSPHRASE };

test('a new repository is encrypted with the passphrase, and shows its recovery key once', async () => {
  await using line = await CommandLine.open();
  const { code, stdout, stderr, calls } = await line.run(['init', '--repo', './new'], { env });
  assert.equal(code, 0);
  const request = calls[0]!.request as { store: { path: string }; encryption: { passphrase: Secret } };
  assert.equal(request.store.path, join(line.home, 'new'));
  assert.equal(request.encryption.passphrase.reveal(), PASSPHRASE);
  assert.equal(stdout.split(RECOVERY_KEY).length, 2);
  assert.ok(!(stdout + stderr).includes(PASSPHRASE));
});

test('--save-recovery-key writes it to a new file of the owner instead of showing it', async () => {
  await using line = await CommandLine.open();
  for (const json of [[], ['--json']]) {
    const file = join(line.home, `key${json.length}`);
    const argv = ['init', '--repo', './new', '--save-recovery-key', file, ...json];
    const { stdout } = await line.run(argv, { env });
    assert.ok(!stdout.includes(RECOVERY_KEY) && stdout.includes(file));
    assert.equal(await readFile(file, 'utf8'), `${RECOVERY_KEY}\n`);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  }
});

test('a recovery key that cannot be saved stops before a repository is made', async () => {
  await using line = await CommandLine.open();
  await writeFile(join(line.home, 'key'), 'older');
  const argv = ['init', '--repo', './new', '--save-recovery-key', 'key'];
  const { code, stderr, calls } = await line.run(argv, { env });
  assert.deepEqual([code, calls], [2, []]);
  assert.match(stderr, /CLI_RECOVERY_KEY_NOT_SAVED/);
  assert.equal(await readFile(join(line.home, 'key'), 'utf8'), 'older');
});

test('a repository that could not be made leaves no file for its key', async () => {
  await using line = await CommandLine.open();
  const createRepository = () => Promise.reject(new Error('full'));
  const argv = ['init', '--repo', './new', '--save-recovery-key', 'key'];
  const { code } = await line.run(argv, { env, engine: { createRepository } });
  assert.equal(code, 1);
  assert.deepEqual(await readdir(line.home), ['config.yaml']);
});

test('--name makes it the configured repository of that name, with the source of its passphrase', async () => {
  await using line = await CommandLine.open();
  await writeFile(join(line.home, 'passphrase'), PASSPHRASE, { mode: 0o600 });
  const argv = ['init', '--repo', './new', '--name', 'second', '--passphrase-file', 'passphrase'];
  assert.equal((await line.run(argv)).code, 0);
  const config = await readFile(line.configPath, 'utf8');
  assert.match(
    config,
    new RegExp(` second:\n {4}path: ${line.home}/new\n {4}passphraseFile: ${line.home}/passphrase\n`),
  );
  const status = await line.run(['status', '--repo', 'second', '--json'], { config });
  assert.equal(status.json().repositories[0].path, join(line.home, 'new'));
  const again = await line.run(argv, { config });
  assert.deepEqual([again.code, again.calls], [2, []]);
});

test('--no-encryption asks for no passphrase and says what was made', async () => {
  await using line = await CommandLine.open();
  const { stdout, calls } = await line.run(['init', '--repo', './new', '--no-encryption']);
  assert.equal((calls[0]!.request as { encryption: string }).encryption, 'none');
  assert.match(stdout, /NOT ENCRYPTED/);
});
