import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandLine } from '../command-line.fixture.ts';
import { KEY_SLOTS, PASSPHRASE, RECOVERY_KEY } from '../fake-engine.fixture.ts';
import type { NewKey } from '../engine.ts';

const env = { HVLIFT_PASSPHRASE: PASSPHRASE };

test('the slots are listed without any secret; a damaged one is exit code 3', async () => {
  await using line = await CommandLine.open();
  const { code, stdout } = await line.run(['keys', 'list']);
  assert.equal(code, 0);
  assert.match(stdout, /0123456789abcdef +passphrase +2026-11-23/);
  assert.match(stdout, /fedcba9876543210 +recovery key/);
  const slots = [...KEY_SLOTS, { slot: 'ab', problem: 'its checksum is wrong' }];
  const damaged = await line.run(['keys', 'list', '--json'], {
    engine: { keySlots: async () => ({ slots }) },
  });
  assert.deepEqual([damaged.code, damaged.json()], [3, { slots }]);
});

test('a new passphrase comes from its own file, and is never shown', async () => {
  await using line = await CommandLine.open();
  await writeFile(join(line.home, 'new'), 'second passphrase\n', { mode: 0o600 });
  const { code, stdout, stderr, calls } = await line.run(['keys', 'add', '--new-passphrase-file', 'new'], {
    env,
  });
  assert.equal(code, 0);
  const { secret } = calls[0]!.request as { secret: Exclude<NewKey, string> };
  assert.equal(secret.passphrase.reveal(), 'second passphrase');
  assert.ok(!(stdout + stderr).includes('second passphrase'));
});

test('a recovery key is told before the old secret goes', async () => {
  await using line = await CommandLine.open();
  const shown = await line.run(['keys', 'rotate', '--new-recovery-key'], { env });
  assert.equal(shown.code, 0);
  assert.match(shown.stdout, new RegExp(`${RECOVERY_KEY}[^]*0123456789abcdef \\(passphrase\\) removed`));
  const json = ['keys', 'rotate', '--new-recovery-key', '--json'];
  assert.equal((await line.run(json, { env })).code, 64);
  const saved = await line.run([...json, '--save-recovery-key', 'key'], { env });
  assert.equal(await readFile(join(line.home, 'key'), 'utf8'), `${RECOVERY_KEY}\n`);
  assert.ok(saved.code === 0 && !saved.stdout.includes(RECOVERY_KEY));
});

test('options of a recovery key and of a passphrase do not mix', async () => {
  await using line = await CommandLine.open();
  for (const argv of [
    ['--new-recovery-key', '--new-passphrase-file', 'x'],
    ['--save-recovery-key', 'x'],
  ]) {
    const { code, calls } = await line.run(['keys', 'add', ...argv], { env });
    assert.deepEqual([code, calls], [64, []]);
  }
});
