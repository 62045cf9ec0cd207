import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandLine, CONFIG } from './command-line.fixture.ts';
import { parseConfig } from './config-problems.ts';
import { logOnProblems, type LogOnConfig } from './log-on-config.ts';

const HTTP = { url: 'http://hv1:5985/wsman' };
const HTTPS = { url: 'https://hv1:5986/wsman' };
const PEM = { certificateFile: '/c.pem', certificateKeyFile: '/k.pem' };

const GOOD: readonly LogOnConfig[] = [
  HTTP,
  { ...HTTP, auth: 'auto', keytabFile: '/k' },
  { ...HTTP, auth: 'kerberos', keytabFile: '/k' },
  { ...HTTPS, auth: 'ntlm', insecure: true },
  { ...HTTPS, auth: 'basic', fingerprint256: '00' },
  { ...HTTPS, auth: 'certificate', ...PEM, caFile: '/ca' },
];

/** Without a user the account that runs hvlift logs on, which has no secret here. */
const BAD_WITHOUT_USER: readonly (readonly [LogOnConfig, string])[] = [
  [{ ...HTTP, passwordFile: '/p' }, 'user is missing, whose passwordFile is given'],
  [{ ...HTTP, keytabFile: '/k' }, 'user is missing, whose keytabFile is given'],
  [{ ...HTTPS, auth: 'basic' }, 'user is missing, without whom there is no auth basic'],
];

const BAD: readonly (readonly [LogOnConfig, string])[] = [
  [{ ...HTTP, auth: 'basic' }, 'auth may be basic only with an https url'],
  [{ ...HTTP, auth: 'certificate', ...PEM }, 'auth may be certificate only with an https url'],
  [
    { ...HTTPS, auth: 'basic', insecure: true },
    'insecure can not be with auth basic: anybody could be at the other end',
  ],
  [
    { ...HTTPS, insecure: true, caFile: '/ca' },
    'insecure stands beside caFile or fingerprint256; keep one of them',
  ],
  [{ ...HTTP, auth: 'ntlm', keytabFile: '/k' }, 'keytabFile belongs to auth kerberos'],
  [{ ...HTTPS, auth: 'certificate', certificateFile: '/c' }, 'certificateKeyFile is missing'],
  [{ ...HTTPS, ...PEM }, 'certificateFile belongs to auth certificate'],
];

test('what fits together is accepted, what does not is named', () => {
  for (const [config, text] of BAD_WITHOUT_USER) {
    const [first] = logOnProblems(config);
    assert.equal(`${first!.path[0]} ${first!.message}`, text);
  }
  for (const config of GOOD.map((host) => ({ user: 'ann', ...host })))
    assert.deepEqual(logOnProblems(config), [], JSON.stringify(config));
  for (const [config, text] of BAD) {
    const [first] = logOnProblems({ user: 'ann', ...config });
    assert.equal(`${first!.path[0]} ${first!.message}`, text);
  }
});

test('a configuration file with them is refused with the place', () => {
  const parsed = parseConfig('hosts:\n  hv1:\n    url: http://hv1\n    user: a\n    auth: basic\n', 'c.yaml');
  assert.deepEqual('problems' in parsed && parsed.problems, [
    'c.yaml:5:5 hosts.hv1.auth may be basic only with an https url',
  ]);
});

test('`host add` writes them, with absolute paths, and refuses what can not work', async () => {
  await using line = await CommandLine.open();
  const add = ['host', 'add', 'hv9', '--user', 'backup@EXAMPLE.COM', '--url'];
  const done = await line.run([
    ...add,
    'http://hv9.example.com',
    '--auth',
    'kerberos',
    '--keytab-file',
    '/etc/k',
    '--json',
  ]);
  assert.equal(done.code, 0, done.stderr);
  const { auth, keytabFile } = done.json();
  assert.deepEqual([auth, keytabFile], ['kerberos', '/etc/k']);
  const refused = await line.run([...add, 'http://hv8', '--auth', 'basic', '--replace']);
  assert.equal(refused.code, 64);
  assert.match(refused.stderr, /auth may be basic only with an https url/);
});

test('an insecure host is said to be one whenever it is used, and the engine gets what is configured', async () => {
  await using line = await CommandLine.open();
  const config = CONFIG.replace(
    'hosts:',
    'hosts:\n  hv0: {url: "https://hv0", user: ann@B.C, insecure: true, keytabFile: k, auth: kerberos}',
  );
  const given: unknown[] = [];
  const engine = { testHost: async (host: { logOn?: unknown }) => (given.push(host.logOn), { checks: [] }) };
  const { stderr } = await line.run(['host', 'test', 'hv0'], { config, engine });
  assert.match(stderr, /warning CLI_INSECURE_HOST: the certificate of host hv0 is not checked/);
  const { warnings } = (await line.run(['host', 'test', 'hv0', '--json'], { config, engine })).json();
  assert.deepEqual(
    (warnings as { code: string }[]).map(({ code }) => code),
    ['CLI_INSECURE_HOST'],
  );
  const [logOn] = given as [{ auth: string; insecure: boolean; keytab: string }];
  assert.deepEqual([logOn.auth, logOn.insecure], ['kerberos', true]);
  assert.match(logOn.keytab, /^\/.*\/k$/);
  assert.doesNotMatch((await line.run(['host', 'test', 'hv1'], { config, engine })).stderr, /INSECURE/);
});

test('an insecure host is named in a document that comes in parts, and beside an error', async () => {
  await using line = await CommandLine.open();
  const config = CONFIG.replace('hosts:', 'hosts:\n  hv0: {url: "https://hv0", user: ann, insecure: true}');
  const engine = {
    changedBlocks: () => {
      throw new Error('broken');
    },
  };
  const changes = ['rct', 'changes', 'vm', '--since', 'x', '--host', 'hv0', '--json'];
  const { error, warnings } = (await line.run(changes, { config, engine })).json();
  assert.equal((error as { code: string }).code, 'UNEXPECTED');
  assert.equal((warnings as { code: string }[])[0]!.code, 'CLI_INSECURE_HOST');
});

test('a host without a user is logged on to as whoever runs hvlift, and nobody is asked for a password', async () => {
  await using line = await CommandLine.open();
  const given: { user: string; asCurrentUser?: true }[] = [];
  const engine = { testHost: async (host: never) => (given.push(host), { checks: [] }) };
  const config = CONFIG.replace('hosts:', 'hosts:\n  hv7: {url: "http://hv7"}');
  assert.equal((await line.run(['host', 'test', 'hv7'], { config, engine })).code, 0);
  assert.deepEqual([given[0]!.user, given[0]!.asCurrentUser], ['the current user', true]);
  const { stdout } = await line.run(['host', 'list'], { config });
  assert.equal((await line.run(['host', 'add', 'hv8', '--url', 'http://hv8'])).code, 0);
  assert.match(stdout, /hv7 .* the current user +-\n/);
});
