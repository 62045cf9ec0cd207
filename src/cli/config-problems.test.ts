import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseConfig } from './config-problems.ts';
import { fullUrl } from './config-values.ts';

function problemsOf(text: string): string[] {
  const parsed = parseConfig(text, 'config.yaml');
  return 'problems' in parsed ? [...parsed.problems] : [];
}

test('every problem is named at once, with line and column, in the order of the file', () => {
  const text = `hosts:
  hv1:
    url: ftp://hv1
    usr: backup
  "bad name":
    url: http://hv2
    user: backup
repositories:
  main:
    path: 7
    passphraseFile: a
    passphraseEnv: B
defaults:
  host: hv9
  consistency: app
`;
  assert.deepEqual(problemsOf(text), [
    'config.yaml:3:5 hosts.hv1.url must begin with http:// or https://',
    'config.yaml:4:5 hosts.hv1.usr is not known here; did you mean user?',
    'config.yaml:5:3 hosts.bad name is not a name: letters, digits, dots, dashes and underscores, the first a letter or digit, at most 63',
    'config.yaml:10:5 repositories.main.path must be text (put quotes around it)',
    'config.yaml:12:5 repositories.main.passphraseEnv stands beside passphraseFile; keep one of them',
    'config.yaml:14:3 defaults.host names nothing under hosts',
    'config.yaml:15:3 defaults.consistency must be application-preferred or application-required or crash',
  ]);
});

test('an unknown key is answered by the one that was meant, at every level', () => {
  const cases: [string, RegExp][] = [
    ['host: {}', /1:1 host is not known here; did you mean hosts\?/],
    ['hosts: {a: {url: http://a, user: b, password_file: x}}', /did you mean passwordFile\?/],
    [
      'hosts: {a: {url: http://a, user: b, files: {kind: fs, mapping: []}}}',
      /files\.mapping .* did you mean mappings\?/,
    ],
    [
      'hosts: {a: {url: http://a, user: b, files: {kind: fs, mappings: [{form: "C:\\\\", to: /x}]}}}',
      /mappings\[0\]\.form .* did you mean from\?/,
    ],
    ['defaults: {repositry: a}', /did you mean repository\?/],
    ['zebra: 1', /is not known here; known: hosts, repositories, defaults/],
  ];
  for (const [text, expected] of cases) assert.match(problemsOf(text).join('\n'), expected, text);
});

test('a secret written into the file is refused with an explanation and never repeated', () => {
  const texts = [
    'hosts: {a: {url: http://a, user: b, password: hunter2}}',
    'hosts: {a: {url: "http://b:hunter2@a", user: b}}',
    'hosts: {a: {url: http://a, user: b, passwd: hunter2}}',
    'repositories: {a: {path: /x, passphrase: hunter2}}',
    'hosts: {a: {url: http://a, user: b, password: "hunter2}}',
    'hosts:\n  a:\n    password: hunter2\n   user: b\n',
    'hosts: {a: {url: http://a, user: b, passwordEnv: "hunter2 &"}}',
    '{hunter2: !hunter2 x, hunter2}: [',
    'hosts: {a: {url: "hunter2", user: b}}',
    'hosts: &a {a: *hunter2}',
  ];
  for (const text of texts) {
    const problems = problemsOf(text).join('\n');
    assert.notEqual(problems, '', text);
    assert.ok(!problems.replaceAll('{hunter2', '').includes('hunter2'), problems);
  }
  assert.match(
    problemsOf(texts[0]!)[0]!,
    /1:37 hosts\.a\.password is refused: a secret does not belong in this file.*passwordFile.*passwordEnv/,
  );
  assert.match(problemsOf(texts[3]!)[0]!, /passphraseFile/);
  assert.match(problemsOf(texts[1]!)[0]!, /must not hold a user or a password/);
});

test('broken YAML is located in our words', () => {
  const cases: [string, RegExp][] = [
    ['hosts:\n  a: {\n', /config\.yaml:3:1 /],
    ['hosts: {}\nhosts: {}\n', /config\.yaml:2:1 .*same key/],
    ['hosts:\n\ta: 1\n', /config\.yaml:2:1 .*tabs/],
    ['hosts: {}\n---\nhosts: {}\n', /second document/],
    ['- a\n', /the configuration must be a map/],
    ['text', /the configuration must be a map/],
  ];
  for (const [text, expected] of cases) assert.match(problemsOf(text).join('\n'), expected, text);
});

test('aliases that would unfold into gigabytes are refused at once', () => {
  const levels = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`);
  const problems = problemsOf(`a0: &a0 [x]\n${levels.join('\n')}\n`);
  assert.match(problems.join('\n'), /more aliases than a configuration can need/);
});

test('no text makes the reader throw or hang: it is a configuration or a list of located problems', () => {
  const snippet = fc.constantFrom(
    'hosts:',
    '  a:',
    '    url: http://a',
    '    user: b',
    '    files: {kind: fs, mappings: []}',
    'repositories: {}',
    'defaults: {host: a}',
    '- x',
    '  - [',
    '}',
    '&x',
    '*x',
    '<<: *x',
    '? y',
    ': z',
    '%YAML 1.1',
    '---',
    '...',
    '!!binary x',
    '__proto__: {a: 1}',
    '  __proto__: 1',
    '"\\x00"',
    '\t',
    '|',
    '> x',
    'constructor: 1',
    '1: 2',
    'null: 3',
    '? [a, b]',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(snippet, fc.string({ maxLength: 8 })), { maxLength: 12 }), (lines) => {
      const parsed = parseConfig(lines.join('\n'), 'f');
      if (!('problems' in parsed)) return assert.equal(typeof parsed.config, 'object');
      assert.ok(parsed.problems.length > 0);
      for (const problem of parsed.problems) assert.match(problem, /^f:\d+:\d+ /);
    }),
    { numRuns: 500 },
  );
});

test('an address gets the port and the path Windows listens on, unless it has its own', () => {
  const cases = [
    ['http://hv1', 'http://hv1:5985/wsman'],
    ['https://hv1/', 'https://hv1:5986/wsman'],
    ['http://hv1:80', 'http://hv1:80/wsman'],
    ['https://hv1:443/x', 'https://hv1:443/x'],
    ['http://[fe80::1]', 'http://[fe80::1]:5985/wsman'],
    ['http://[fe80::1]:8080/wsman', 'http://[fe80::1]:8080/wsman'],
  ] as const;
  for (const [written, expected] of cases) assert.equal(fullUrl(written), expected);
});

test('files by folder and files by SMB each have keys of their own', () => {
  const files = (text: string): string =>
    problemsOf(`hosts: {a: {url: http://a, user: b, files: {${text}}}}`).join('\n');
  const share = String.raw`{from: 'C:\', to: '\\nas\vms'}`;
  for (const right of [
    'kind: smb',
    'kind: smb, port: 4450',
    `kind: smb, mappings: [${share}]`,
    String.raw`kind: smb, mappings: [{from: 'E:\x', to: '\\nas\vms\deep'}]`,
    "kind: fs, mappings: [{from: 'C:', to: /mnt/c}]",
  ]) {
    assert.equal(files(right), '', right);
  }
  for (const [wrong, expected] of [
    ['kind: nfs', /files\.kind must be fs or smb/],
    ['kind: fs', /files\.mappings is missing/],
    ["kind: fs, mappings: [{from: 'C:', to: /c}], port: 1", /files\.port belongs to files of kind smb/],
    ["kind: smb, mappings: [{from: 'C:', to: /mnt/c}]", /mappings\[0\]\.to must be \\\\server\\share/],
    ['kind: smb, port: 0', /files\.port must be a port number/],
    ['kind: smb, port: high', /files\.port must be a number/],
  ] as const) {
    assert.match(files(wrong), expected, wrong);
  }
});

test('SSH is configured when it is needed, with a way to log on and one way to know the host', () => {
  const host = (text: string): string =>
    problemsOf(`hosts: {a: {url: http://a, user: b, ${text}}}`).join('\n');
  const key = 'keyFile: k';
  const fingerprint = `fingerprint: SHA256:${'A'.repeat(43)}`;
  for (const right of [
    `files: {kind: sftp}, ssh: {${key}}`,
    `via: ssh, ssh: {agent: true, ${fingerprint}}`,
    `via: ssh, ssh: {usePassword: true, host: jump, port: 2222, user: c, knownHosts: k}`,
    `files: {kind: sftp, mappings: [{from: 'E:', to: /srv/vms}]}, ssh: {${key}, keyPassphraseEnv: P}`,
  ]) {
    assert.equal(host(right), '', right);
  }
  for (const [wrong, expected] of [
    ['files: {kind: sftp}', /a\.ssh is missing/],
    ['via: ssh', /a\.ssh is missing/],
    ['via: rsh', /a\.via must be ssh/],
    ['via: ssh, ssh: {}', /a\.ssh needs keyFile, agent or usePassword/],
    [`via: ssh, ssh: {agent: yes please}`, /ssh\.agent must be true or false/],
    [`via: ssh, ssh: {${key}, knownHosts: k, ${fingerprint}}`, /ssh\.fingerprint stands beside knownHosts/],
    [`via: ssh, ssh: {${key}, fingerprint: "MD5:00"}`, /ssh\.fingerprint must be SHA256:/],
    [`via: ssh, ssh: {${key}, password: secret}`, /ssh\.password is refused/],
    [`via: ssh, ssh: {${key}, keyPassphraseFile: f, keyPassphraseEnv: E}`, /stands beside keyPassphraseFile/],
    [
      `files: {kind: sftp, mappings: [{from: 'E:', to: 'E:\\x'}]}, ssh: {${key}}`,
      /to must be a path as SFTP/,
    ],
    [`files: {kind: sftp, port: 2222}, ssh: {${key}}`, /files\.port belongs to files of kind smb/],
  ] as const) {
    assert.match(host(wrong), expected, wrong);
  }
});

test('a key that must be there and is not', () => {
  assert.deepEqual(problemsOf('hosts:\n  hv1:\n    user: a\n'), ['config.yaml:2:3 hosts.hv1.url is missing']);
});
