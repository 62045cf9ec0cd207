import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../base/index.ts';
import { CommandLine, CONFIG, Keyboard } from '../command-line.fixture.ts';
import type { HostAccess, HostCheck } from '../engine.ts';

const DENIED = new Fault(
  'WINRM_ACCESS_DENIED',
  { kind: 'refused', text: 'access denied', remedy: 'add the user' },
  {},
);

function reporting(...checks: HostCheck[]) {
  return { testHost: async () => ({ computerName: 'HV1', checks }) };
}

test('a test of a host lists every check and how to mend what failed', async () => {
  await using line = await CommandLine.open();
  const warning = { code: 'HYPERV_OLD', message: 'version 8.0', remedy: 'upgrade' };
  const engine = reporting(
    { name: 'sign in', detail: 'as backup' },
    { name: 'version', detail: '8.0', warning },
    { name: 'list VMs', detail: 'no answer', error: DENIED },
  );
  const { code, stdout, stderr } = await line.run(['host', 'test', 'hv1'], { engine });
  assert.equal(code, 2);
  assert.deepEqual(stdout.split('\n'), [
    'hv1: HV1',
    '  CHECK     RESULT   DETAIL',
    '  sign in   ok       as backup',
    '  version   warning  8.0',
    '  list VMs  failed   no answer',
    '',
  ]);
  assert.match(stderr, /warning HYPERV_OLD[^]*error WINRM_ACCESS_DENIED: access denied[^]*do: add the user/);
  const outcome = await line.run(['host', 'test', 'hv1', '--json'], { engine });
  assert.equal(outcome.json().checks[2].error.code, 'WINRM_ACCESS_DENIED');
});

test('a host that only warns ends with 4, a good one with 0', async () => {
  await using line = await CommandLine.open();
  const check = { name: 'a', detail: 'b' };
  const warned = reporting(check, { ...check, warning: { code: 'W', message: 'm' } });
  assert.equal((await line.run(['host', 'test'], { engine: warned })).code, 4);
  assert.equal((await line.run(['host', 'test'], { engine: reporting(check) })).code, 0);
});

test('the list says where each password comes from, and holds none', async () => {
  await using line = await CommandLine.open();
  const config = CONFIG.replace(
    'hosts:',
    'hosts:\n  hv0: {url: http://hv0, user: ann}\n  hv2: {url: http://hv2, user: b, passwordFile: hv2.pw}',
  );
  const { stdout } = await line.run(['host', 'list'], { config });
  assert.deepEqual(stdout.split('\n'), [
    'NAME  URL                                USER            PASSWORD FROM',
    'hv0   http://hv0                         ann             asked for',
    'hv2   http://hv2                         b               hv2.pw',
    'hv1   http://hv1.example.com:5985/wsman  EXAMPLE\\backup  $HV1_PASSWORD',
    '',
  ]);
});

test('what VMs cannot be protected is said in their list', async () => {
  await using line = await CommandLine.open();
  const vm = {
    id: '1',
    name: 'sql01',
    state: 'running',
    disks: 2,
    obstacles: ['disk 2 is shared', 'pass-through'],
  };
  const { stdout } = await line.run(['vms'], { engine: { vms: async () => [vm] } });
  assert.match(stdout, /NOT PROTECTED\nsql01 .* disk 2 is shared; pass-through\n/);
});

test('an address or a mapping that cannot be is refused before anything is written', async () => {
  await using line = await CommandLine.open();
  const add = (name: string, url: string, ...more: string[]): string[] => [
    'host',
    'add',
    name,
    '--url',
    url,
    '--user',
    'u',
    ...more,
  ];
  for (const [argv, expected] of [
    [add('a b', 'http://h'), /the name letters/],
    [add('a', 'hv1'), /--url must be a URL/],
    [add('a', 'ftp://h'), /--url must begin with http/],
    [add('a', 'http://h', '--map', 'C:\\VMs'), /--map takes FROM=TO/],
    [add('a', 'http://h', '--node', 'NODE2'), /--node takes NAME=URL/],
    [add('a', 'http://h', '--password-file', 'x', '--password-env', 'Y'), /cannot be used with/],
  ] as const) {
    const { code, stderr } = await line.run(argv);
    assert.equal(code, 64);
    assert.match(stderr, expected);
  }
  const relative = await line.run(add('a', 'http://h', '--map', 'VMs=/mnt'));
  assert.equal(relative.code, 2);
  assert.match(relative.stderr, /mappings\[0\]\.from must be a Windows path/);
});

test('a host read by SMB is added with shares that stay as they were written, and listed as such', async () => {
  await using line = await CommandLine.open();
  const map = String.raw`E:\VMs=\\nas\vms`;
  const add = ['host', 'add', 'hv5', '--url', 'http://hv5', '--user', 'u', '--smb', '--map', map];
  assert.equal((await line.run(add)).code, 0);
  const { stdout } = await line.run(['host', 'list', '--json'], { config: undefined });
  const added = JSON.parse(stdout).hosts.find((host: { name: string }) => host.name === 'hv5');
  assert.deepEqual(added.files, {
    kind: 'smb',
    mappings: [{ from: String.raw`E:\VMs`, to: String.raw`\\nas\vms` }],
  });
  assert.match((await line.run(['host', 'list'], { config: undefined })).stdout, /SMB E:\\VMs=\\\\nas\\vms/);
  const backup = await line.run(['vms', '--host', 'hv5'], { config: undefined });
  assert.deepEqual((backup.calls[0]!.request as { files: unknown }).files, added.files);
});

test('a host read by SFTP and reached through SSH is added, and what it means reaches the engine', async () => {
  await using line = await CommandLine.open();
  const fingerprint = `SHA256:${'A'.repeat(43)}`;
  const add = ['host', 'add', 'hv6', '--url', 'http://hv6', '--user', 'u', '--sftp', '--via-ssh'];
  const missing = await line.run(add);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /hosts\.hv6\.ssh needs keyFile, agent or usePassword/);
  const ssh = ['--ssh-key-file', 'id', '--ssh-fingerprint', fingerprint, '--ssh-port', '2222'];
  assert.equal((await line.run([...add, ...ssh, '--map', 'E:\\VMs=/srv/vms'])).code, 0);
  const { calls } = await line.run(['vms', '--host', 'hv6'], { config: undefined });
  const host = calls[0]!.request as HostAccess;
  assert.ok(host.viaSsh);
  assert.deepEqual(host.files, { kind: 'sftp', mappings: [{ from: 'E:\\VMs', to: '/srv/vms' }] });
  assert.partialDeepStrictEqual(host.ssh, {
    host: 'hv6',
    port: 2222,
    user: 'u',
    hostKey: { fingerprint },
    usePassword: false,
  });
  assert.match(host.ssh!.key!.path, /^\/.*\/id$/);
});

test('nodes of a cluster are added with addresses that are checked, and reach the engine complete', async () => {
  await using line = await CommandLine.open();
  const add = (url: string) => ['host', 'add', 'cl', '--url', 'http://cl', '--node', `NODE1=${url}`];
  const wrong = await line.run(add('10.0.0.1'));
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /hosts\.cl\.nodes\.NODE1 must be a URL/);
  assert.equal((await line.run([...add('http://10.0.0.1'), '--node', 'N2=https://n2:1234'])).code, 0);
  const { calls } = await line.run(['vms', '--host', 'cl'], { config: undefined });
  const nodes = { NODE1: 'http://10.0.0.1:5985/wsman', N2: 'https://n2:1234/wsman' };
  assert.deepEqual((calls[0]!.request as HostAccess).nodes, nodes);
});

test('the number of connections is checked where it is given, and reaches the engine', async () => {
  await using line = await CommandLine.open();
  const add = (sessions: string) => ['host', 'add', 'hv7', '--url', 'http://hv7', '--sessions', sessions];
  for (const wrong of ['0', '9', '2.5', 'two']) {
    const { code, stderr } = await line.run(add(wrong));
    assert.equal(code, 64, wrong);
    assert.match(stderr, /a number from 1 to 8/);
  }
  assert.equal((await line.run(add('8'))).code, 0);
  const { calls } = await line.run(['vms', '--host', 'hv7'], { config: undefined });
  assert.equal((calls[0]!.request as HostAccess).sessions, 8);
  for (const wrong of ['0', '9', 'two']) {
    const config = `hosts:\n  a: {url: http://a, sessions: ${wrong}}\n`;
    const { code, stderr } = await line.run(['vms'], { config });
    assert.equal(code, 2, wrong);
    assert.match(stderr, /hosts\.a\.sessions must be a number/);
  }
});

test('a host key is put to a person at a terminal, never to a script', async () => {
  await using line = await CommandLine.open();
  const config = `hosts: {a: {url: http://a, user: u, via: ssh, ssh: {agent: true}}}\n`;
  const offer = { host: 'a', type: 'ssh-ed25519', fingerprint: 'SHA256:x' };
  const ask = (access: HostAccess): Promise<boolean> | undefined =>
    'knownHosts' in access.ssh!.hostKey ? access.ssh!.hostKey.confirm?.(offer) : undefined;
  const answers: (boolean | undefined)[] = [];
  const engine = {
    vms: async (access: HostAccess) => {
      answers.push(await ask(access));
      return [];
    },
  };
  const env = { SSH_AUTH_SOCK: '/run/agent' };
  await line.run(['vms'], { config, engine, env });
  const yes = await line.run(['vms'], { config, engine, env, stdin: typed('yes') });
  await line.run(['vms'], { config, engine, env, stdin: typed('y') });
  assert.deepEqual(answers, [undefined, true, false]);
  assert.match(yes.stderr, /It shows ssh-ed25519 SHA256:x/);
  const { code, stderr } = await line.run(['vms'], { config, engine, env: {} });
  assert.equal(code, 2);
  assert.match(stderr, /CLI_NO_AGENT/);
});

function typed(answer: string): Keyboard {
  const keyboard = new Keyboard();
  keyboard.write(`${answer}\n`);
  return keyboard;
}
