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
  for (const config of GOOD) assert.deepEqual(logOnProblems(config), [], JSON.stringify(config));
  for (const [config, text] of BAD) {
    const [first] = logOnProblems(config);
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
  const [logOn] = given as [{ auth: string; insecure: boolean; keytab: string }];
  assert.deepEqual([logOn.auth, logOn.insecure], ['kerberos', true]);
  assert.match(logOn.keytab, /^\/.*\/k$/);
  assert.doesNotMatch((await line.run(['host', 'test', 'hv1'], { config, engine })).stderr, /INSECURE/);
});
