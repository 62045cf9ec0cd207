import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandLine } from './command-line.fixture.ts';
import type { RepositoryAccess } from './engine.ts';
import { STATUS, VERIFIED } from './fake-engine.fixture.ts';

const CONFIG = 'hosts: { hv1: { url: "http://hv1", user: backup, passwordFile: hv1.password } }\n';

/** The password the engine gets from a file of these bytes, or the fault the user gets. */
async function fromFile(line: CommandLine, bytes: string | Buffer, mode = 0o600) {
  await writeFile(join(line.home, 'hv1.password'), bytes);
  await chmod(join(line.home, 'hv1.password'), mode);
  let password: string | undefined;
  const outcome = await line.run(['vms'], {
    config: CONFIG,
    engine: {
      async vms(host) {
        password = (await host.password()).reveal();
        return [];
      },
    },
  });
  return { ...outcome, password };
}

test('a file gives its line without the newline and the byte order mark editors add', async () => {
  await using line = await CommandLine.open();
  for (const content of ['geheim', 'geheim\n', 'geheim\r\n', '\ufeffgeheim\r\n']) {
    const { password, stderr } = await fromFile(line, content);
    assert.deepEqual([password, stderr], ['geheim', '']);
  }
  assert.equal((await fromFile(line, ' with spaces \n')).password, ' with spaces ');
});

test('a file that cannot be a secret is refused without quoting it', async () => {
  await using line = await CommandLine.open();
  const cases: [string | Buffer, RegExp][] = [
    ['', /is empty/],
    ['\n', /is empty/],
    ['one\ntwo\n', /has more than one line/],
    [Buffer.from([0xff, 0xfe, 0x41, 0x00]), /is not UTF-8 text/],
    ['x'.repeat(5000), /has more than 4096 bytes/],
  ];
  for (const [content, expected] of cases) {
    const { code, stderr, password } = await fromFile(line, content);
    assert.deepEqual([code, password], [2, undefined]);
    assert.match(stderr, /error SECRET_FILE_UNSUITABLE/);
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /two|xxx/);
  }
});

test('nobody is told to change the mode of a device', async () => {
  await using line = await CommandLine.open();
  const engine = {
    async repositoryStatus({ unlock }: RepositoryAccess) {
      await unlock();
      return STATUS;
    },
  };
  const { code, stderr } = await line.run(['status', '--passphrase-file', '/dev/null'], { engine });
  assert.equal(code, 2);
  assert.match(stderr, /is empty/);
  assert.doesNotMatch(stderr, /chmod/);
});

test('a file others can read works, with a warning that says how to mend it', async () => {
  await using line = await CommandLine.open();
  for (const mode of [0o640, 0o604, 0o666]) {
    const { code, password, stderr } = await fromFile(line, 'geheim\n', mode);
    assert.deepEqual([code, password], [0, 'geheim']);
    assert.match(stderr, new RegExp(`warning SECRET_FILE_SHARED: .*mode 0${mode.toString(8)}`));
    assert.match(stderr, /do: chmod 600 .*hv1\.password/);
  }
});

test('a missing file and a missing variable are named', async () => {
  await using line = await CommandLine.open();
  const file = await line.run(['vms'], { config: CONFIG });
  assert.equal(file.code, 2);
  assert.match(file.stderr, /error SECRET_FILE_UNREADABLE: the file of the password .*hv1\.password/);
  const variable = await line.run(['points'], { env: { MAIN_PASSPHRASE: '' } });
  assert.equal(variable.code, 2);
  assert.match(variable.stderr, /error SECRET_VARIABLE_MISSING: the environment variable MAIN_PASSPHRASE/);
});

test('of several sources of a passphrase, the one nearest to the command wins', async () => {
  await using line = await CommandLine.open();
  const config = (entry: string): string => `repositories: { main: { path: backups${entry} } }\n`;
  for (const name of ['option', 'config', 'env', 'recovery']) {
    await writeFile(join(line.home, name), `from ${name} file`, { mode: 0o600 });
  }
  const env = {
    HVLIFT_PASSPHRASE: 'from variable',
    HVLIFT_PASSPHRASE_FILE: 'env',
    MAIN: 'from named variable',
  };
  const cases: [string[], string, Record<string, string>, string][] = [
    [['--passphrase-file', 'option'], ', passphraseFile: config', env, 'passphrase from option file'],
    [[], ', passphraseFile: config', env, 'passphrase from config file'],
    [[], ', passphraseEnv: MAIN', env, 'passphrase from named variable'],
    [[], '', env, 'passphrase from env file'],
    [[], '', { HVLIFT_PASSPHRASE: 'from variable' }, 'passphrase from variable'],
    [['--recovery-key-file', 'recovery'], ', passphraseFile: config', env, 'recovery-key from recovery file'],
  ];
  for (const [options, entry, variables, expected] of cases) {
    let got = '';
    const { code } = await line.run(['points', ...options], {
      config: config(entry),
      env: variables,
      engine: {
        // oxlint-disable-next-line require-yield
        async *points(repository) {
          const { kind, secret } = await repository.unlock();
          got = `${kind} ${secret.reveal()}`;
        },
      },
    });
    assert.deepEqual([code, got], [0, expected]);
  }
});

test('an unencrypted repository asks for nothing', async () => {
  await using line = await CommandLine.open();
  const { code } = await line.run(['verify', '--repo', './plain'], {
    engine: {
      async verify() {
        return VERIFIED;
      },
    },
  });
  assert.equal(code, 0);
});
