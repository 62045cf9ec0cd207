import assert from 'node:assert/strict';
import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandLine, CONFIG } from './command-line.fixture.ts';
import { ConfigFile } from './config-file.ts';
import { absolutePath, configLocation } from './config-path.ts';
import type { CliIo } from './io.ts';

const ADD = [
  'host',
  'add',
  'hv2',
  '--url',
  'https://hv2',
  '--user',
  'EXAMPLE\\b',
  '--password-file',
  'hv2.password',
];

test('adding a host keeps comments and all other lines, and the file is for its owner only', async () => {
  await using line = await CommandLine.open();
  const { code } = await line.run([...ADD, '--map', 'C:\\ClusterStorage=/mnt/csv', '--map', 'D:\\=vms']);
  assert.equal(code, 0);
  const lines = (await readFile(line.configPath, 'utf8')).split('\n');
  for (const old of CONFIG.trimEnd().split('\n')) {
    assert.ok(
      lines.some((now) => now.replace(/\s+#/, ' #') === old.replace(/\s+#/, ' #')),
      old,
    );
  }
  assert.equal((await stat(line.configPath)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(line.home), ['config.yaml']);
  const { config } = await ConfigFile.load({ path: line.configPath, named: true });
  assert.deepEqual(config.hosts!['hv2'], {
    url: 'https://hv2',
    user: 'EXAMPLE\\b',
    passwordFile: join(line.home, 'hv2.password'),
    files: {
      kind: 'fs',
      mappings: [
        { from: 'C:\\ClusterStorage', to: '/mnt/csv' },
        { from: 'D:\\', to: join(line.home, 'vms') },
      ],
    },
  });
});

test('removing a host gives back the file as it was before it was added', async () => {
  await using line = await CommandLine.open();
  await line.run([...ADD]);
  await line.run(['host', 'remove', 'hv2'], { config: await readFile(line.configPath, 'utf8') });
  assert.equal((await readFile(line.configPath, 'utf8')).replace(/ +#/g, ' #'), CONFIG.replace(/ +#/g, ' #'));
});

test('removing the default host removes that default too', async () => {
  await using line = await CommandLine.open();
  const { code } = await line.run(['host', 'remove', 'hv1'], { config: `${CONFIG}defaults: {host: hv1}\n` });
  assert.equal(code, 0);
  assert.equal(
    (await line.run(['host', 'list', '--json'], { config: await readFile(line.configPath, 'utf8') })).code,
    0,
  );
});

test('a host is not overwritten unless asked, and an unknown one cannot be removed', async () => {
  await using line = await CommandLine.open();
  const again = ['host', 'add', 'hv1', '--url', 'http://other', '--user', 'x'];
  assert.match((await line.run(again)).stderr, /CLI_HOST_EXISTS/);
  assert.equal(await readFile(line.configPath, 'utf8'), CONFIG);
  assert.equal((await line.run([...again, '--replace'])).code, 0);
  assert.match(await readFile(line.configPath, 'utf8'), /http:\/\/other/);
  const missing = await line.run(['host', 'remove', 'hv9']);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /known hosts: hv1/);
});

test('the first host makes the file and its folder, readable by the owner only', async () => {
  await using line = await CommandLine.open();
  const env = { HVLIFT_CONFIG: '', XDG_CONFIG_HOME: join(line.home, 'xdg') };
  const { code } = await line.run(ADD, { config: undefined, env });
  assert.equal(code, 0);
  const folder = join(line.home, 'xdg', 'hvlift');
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
  assert.equal((await stat(join(folder, 'config.yaml'))).mode & 0o777, 0o600);
});

test('a configuration that is a link stays one', async () => {
  await using line = await CommandLine.open();
  await mkdir(join(line.home, 'dotfiles'));
  const target = join(line.home, 'dotfiles', 'hvlift.yaml');
  await writeFile(target, CONFIG);
  await symlink(target, line.configPath);
  assert.equal((await line.run(ADD, { config: CONFIG })).code, 0);
  assert.ok((await lstat(line.configPath)).isSymbolicLink());
  assert.match(await readFile(target, 'utf8'), /hv2/);
});

test('an indentation of four is kept', async () => {
  await using line = await CommandLine.open();
  const config = CONFIG.replace(/^ +/gm, (spaces) => spaces.repeat(2));
  await line.run(ADD, { config });
  assert.match(await readFile(line.configPath, 'utf8'), /^ {4}hv1:\n {8}url: /m);
});

test('a broken configuration is never edited', async () => {
  await using line = await CommandLine.open();
  const config = `${CONFIG}zebra: 1\n`;
  const { code, stderr } = await line.run(ADD, { config });
  assert.equal(code, 2);
  assert.match(
    stderr,
    /error CONFIG_INVALID: the configuration has 1 problem:\n {2}.*config\.yaml:\d+:1 zebra/,
  );
  assert.equal(await readFile(line.configPath, 'utf8'), config);
});

test('an edit that meets a change by someone else leaves theirs', async () => {
  await using line = await CommandLine.open();
  await writeFile(line.configPath, CONFIG);
  const file = await ConfigFile.load({ path: line.configPath, named: true });
  await writeFile(line.configPath, `${CONFIG}# theirs\n`);
  await assert.rejects(
    file.edit((document) => document.deleteIn(['hosts', 'hv1'])),
    { code: 'CONFIG_CHANGED_MEANWHILE' },
  );
  assert.equal(await readFile(line.configPath, 'utf8'), `${CONFIG}# theirs\n`);
});

test('what cannot be written or read is said, and nothing is left over', async () => {
  await using line = await CommandLine.open();
  await mkdir(line.configPath);
  const unreadable = await line.run(['host', 'list'], { config: undefined });
  assert.match(unreadable.stderr, /error CONFIG_UNREADABLE/);
  await writeFile(join(line.home, 'file'), '');
  const env = { HVLIFT_CONFIG: join(line.home, 'file', 'config.yaml') };
  const unwritable = await line.run(ADD, { config: undefined, env });
  assert.equal(unwritable.code, 2);
  assert.match(unwritable.stderr, /error CONFIG_UN(WRITABLE|READABLE)/);
  assert.deepEqual((await readdir(line.home)).sort(), ['config.yaml', 'file']);
});

test('a file that is no configuration is not read into memory', async () => {
  await using line = await CommandLine.open();
  await writeFile(line.configPath, '');
  await truncate(line.configPath, 1e12);
  const { stderr } = await line.run(['host', 'list'], { config: undefined });
  assert.match(stderr, /error CONFIG_TOO_LARGE/);
  await rm(line.configPath);
});

test('a file named by the user must exist; without one the configuration is empty', async () => {
  await using line = await CommandLine.open();
  for (const [argv, env] of [
    [['host', 'list', '--config', 'nowhere.yaml'], {}],
    [['host', 'list'], { HVLIFT_CONFIG: 'nowhere.yaml' }],
  ] as const) {
    const { code, stderr } = await line.run(argv, { config: undefined, env });
    assert.equal(code, 2);
    assert.match(stderr, /error CONFIG_NOT_FOUND: .*nowhere\.yaml/);
  }
  const empty = await line.run(['host', 'list', '--json'], { config: undefined, env: { HVLIFT_CONFIG: '' } });
  assert.deepEqual(empty.json(), { hosts: [] });
});

test('the configuration is where the platform keeps configurations', () => {
  const io = (env: Record<string, string>, platform: NodeJS.Platform): CliIo =>
    ({ env, platform, homeFolder: '/home/ann', workingFolder: '/work' }) as CliIo;
  const at = (env: Record<string, string>, option?: string, platform: NodeJS.Platform = 'linux'): string =>
    configLocation(option, io(env, platform)).path;
  assert.equal(at({}), '/home/ann/.config/hvlift/config.yaml');
  assert.equal(at({ XDG_CONFIG_HOME: '/etc/xdg' }), '/etc/xdg/hvlift/config.yaml');
  assert.equal(at({ XDG_CONFIG_HOME: 'relative' }), '/home/ann/.config/hvlift/config.yaml');
  assert.equal(at({ HVLIFT_CONFIG: 'a.yaml' }), '/work/a.yaml');
  assert.equal(at({ HVLIFT_CONFIG: 'a.yaml' }, '~/b.yaml'), '/home/ann/b.yaml');
  assert.equal(at({ APPDATA: '/appdata' }, undefined, 'win32'), '/appdata/hvlift/config.yaml');
  assert.equal(absolutePath('~ann/x', '/f', '/home/ann'), '/f/~ann/x');
});

test('paths in the file start at the file, paths on the command line at the working folder', async () => {
  await using line = await CommandLine.open();
  await mkdir(join(line.home, 'etc'));
  const path = join(line.home, 'etc', 'hvlift.yaml');
  await writeFile(
    path,
    CONFIG.replace(
      'hosts:',
      'hosts:\n  hv0: {url: http://h, user: u, files: {kind: fs, mappings: [{from: "C:\\\\", to: c}]}}',
    ),
  );
  await chmod(path, 0o600);
  const argv = ['backup', 'web01', '--host', 'hv0', '--config', 'etc/hvlift.yaml'];
  const configured = await line.run([...argv, '--repo', 'main'], { config: undefined });
  const request = configured.calls[0]!.request as { repository: { path: string }; host: { files: unknown } };
  assert.equal(request.repository.path, join(line.home, 'etc', 'backups'));
  assert.deepEqual(request.host.files, {
    kind: 'fs',
    mappings: [{ from: 'C:\\', to: join(line.home, 'etc', 'c') }],
  });
  const typed = await line.run([...argv, '--repo', './there'], { config: undefined });
  assert.equal((typed.calls[0]!.request as typeof request).repository.path, join(line.home, 'there'));
});
