import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault, type FaultKind } from '../base/index.ts';
import type { Engine } from './engine.ts';
import { CommandLine } from './command-line.fixture.ts';
import { PASSPHRASE, PASSWORD, backupRun } from './fake-engine.fixture.ts';

/** A command line of every command, with the engine call it makes. */
const EVERY_COMMAND: readonly [string, string | undefined][] = [
  ['vms', 'vms'],
  ['host list', undefined],
  ['host test hv1', 'testHost'],
  ['init --repo ./new', 'createRepository'],
  ['backup web01', 'backup'],
  ['points', 'points'],
  ['restore a1b2 --to out', 'restore'],
  ['verify', 'verify'],
  ['repair', 'repair'],
  ['disk check web01.vhdx', 'checkDisk'],
  ['status', 'repositoryStatus'],
  ['rct enable web01', 'enableRct'],
  ['rct changes web01 --since rp-1', 'changedBlocks'],
  ['rct reset web01', 'resetRct'],
  ['janitor', 'janitor'],
];

function fault(kind: FaultKind, code = 'TEST_FAULT'): Fault {
  return new Fault(
    code,
    { kind, text: 'the thing of {name} broke', remedy: 'mend {name}', lost: 'an hour' },
    { name: 'hv1' },
  );
}

for (const [words, call] of EVERY_COMMAND) {
  const env = { HVLIFT_PASSPHRASE: PASSPHRASE };

  test(`${words}: succeeds with exit code 0 and tells something`, async () => {
    await using line = await CommandLine.open();
    const { code, stdout, calls } = await line.run(words.split(' '), { env });
    assert.equal(code, 0);
    assert.deepEqual(
      calls.map((made) => made.call),
      call === undefined ? [] : [call],
    );
    assert.notEqual(stdout, '');
  });

  test(`${words} --json: prints exactly one JSON document, and no progress`, async () => {
    await using line = await CommandLine.open();
    const { code, stdout, stderr } = await line.run([...words.split(' '), '--json'], { env });
    assert.equal(code, 0);
    assert.equal(typeof JSON.parse(stdout), 'object');
    assert.equal(stderr, '');
  });

  if (call === undefined) continue;
  test(`${words}: a fault of the engine sets the exit code, is explained, and is the error of the document`, async () => {
    await using line = await CommandLine.open();
    const failing = {
      [call]: () => {
        throw fault('corrupt');
      },
    };
    const plain = await line.run(words.split(' '), { env, engine: failing });
    assert.equal(plain.code, 3);
    assert.match(plain.stderr, /^error TEST_FAULT: the thing of hv1 broke\nlost: an hour\ndo: mend hv1$/m);
    const json = await line.run([...words.split(' '), '--json'], { env, engine: failing });
    assert.equal(json.code, 3);
    const document = json.json();
    // `status` shows several repositories: each has its own error.
    const { error } = document.error === undefined ? document.repositories[0] : document;
    assert.equal(error.code, 'TEST_FAULT');
    assert.equal(error.lost, 'an hour');
    assert.deepEqual(error.details, { name: 'hv1' });
  });
}

const EXIT_CODES: readonly [unknown, number][] = [
  [fault('retry'), 75],
  [fault('refused'), 2],
  [fault('corrupt'), 3],
  [fault('bug'), 70],
  [fault('retry', 'RUN_CANCELLED'), 130],
  [new DOMException('aborted', 'AbortError'), 130],
  [new TypeError('x is undefined'), 1],
  ['a string', 1],
];

for (const [error, expected] of EXIT_CODES) {
  test(`an engine that throws ${String(error)} (${(error as Fault).kind ?? ''}) ends with exit code ${expected}`, async () => {
    await using line = await CommandLine.open();
    const { code } = await line.run(['vms'], { engine: { vms: () => Promise.reject(error) } });
    assert.equal(code, expected);
  });
}

test('an exception nobody declared shows no stack, and says where to report it', async () => {
  await using line = await CommandLine.open();
  const engine = { vms: () => Promise.reject(new TypeError('x is undefined')) };
  const { stderr } = await line.run(['vms'], { engine });
  assert.match(stderr, /^error UNEXPECTED: x is undefined$/m);
  assert.match(stderr, /report/);
  assert.doesNotMatch(stderr, /\bat .*\.ts/);
});

test('HVLIFT_DEBUG=1 adds the stack, causes included', async () => {
  await using line = await CommandLine.open();
  const error = new TypeError('outer', { cause: new RangeError('inner') });
  const engine = { vms: () => Promise.reject(error) };
  const { stderr } = await line.run(['vms'], { engine, env: { HVLIFT_DEBUG: '1' } });
  assert.match(stderr, /^because: inner$/m);
  assert.match(stderr, /\bat .*run\.test\.ts/);
  assert.match(stderr, /caused by RangeError: inner/);
});

test('a secret in somebody else’s exception reaches neither the message, nor the stack, nor the document', async () => {
  await using line = await CommandLine.open();
  const engine = {
    async vms(host: { password: () => Promise<unknown> }) {
      await host.password();
      throw new Error(`401 for backup:${PASSWORD}`, { cause: new Error(`header ${PASSWORD}`) });
    },
  };
  for (const argv of [['vms'], ['vms', '--json'], ['vms', '--progress', 'json']]) {
    const outcome = await line.run(argv, { engine: engine as never, env: { HVLIFT_DEBUG: '1' } });
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr + outcome.stdout, /401 for backup:\*\*\*/);
    assert.ok(!(outcome.stderr + outcome.stdout).includes(PASSWORD));
  }
});

test('a request to the engine shows no secret, whatever is done to print it', async () => {
  await using line = await CommandLine.open();
  const { calls } = await line.run(['backup', 'web01']);
  const request = calls[0]!.request as {
    host: { password: () => Promise<{ reveal(): string; toString(): string }> };
    repository: { unlock: () => Promise<unknown> };
  };
  const password = await request.host.password();
  const { inspect } = await import('node:util');
  const printed = [
    inspect([request, password, await request.repository.unlock()], { depth: 9, showHidden: true }),
    JSON.stringify([request, password, await request.repository.unlock()]),
    `password: ${password.toString()}`,
  ].join('\n');
  assert.equal(password.reveal(), PASSWORD);
  assert.ok(!printed.includes(PASSWORD) && !printed.includes(PASSPHRASE), printed);
  assert.ok(printed.includes('***'));
});

test('a mistyped command, option or choice is a usage error that names what was meant', async () => {
  await using line = await CommandLine.open();
  const cases: readonly [string[], RegExp][] = [
    [['bakup', 'web01'], /unknown command 'bakup' \(Did you mean backup\?\)/],
    [['backup', 'web01', '--ful'], /unknown option '--ful' \(Did you mean --full\?\)/],
    [['restore', 'a1', '--to', 'x', '--format', 'vdi'], /Allowed choices are raw, vhdx, .*, ova\./],
    [['restore', 'a1'], /--to <dir>/],
    [['backup'], /which VMs\? Name some, or a --tag, or say --all/],
    [['restore', 'latest', '--to', 'x'], /"latest" needs --vm/],
    [['restore', 'a1', '--vm', 'web01', '--to', 'x'], /--vm goes with "latest"/],
    [['verify', 'a1', '--all'], /exclude each other/],
    [['rct', 'changes', 'web01'], /--since <id>/],
  ];
  for (const [argv, expected] of cases) {
    const { code, stderr, stdout, calls } = await line.run(argv);
    assert.equal(code, 64, argv.join(' '));
    assert.match(stderr, expected);
    assert.match(stderr, /^do: see `hvlift.* --help`$/m);
    assert.equal(stdout, '');
    assert.deepEqual(calls, []);
  }
});

test('a usage error with --json is a document too, wherever --json stands', async () => {
  await using line = await CommandLine.open();
  for (const argv of [
    ['--json', 'backup'],
    ['backup', '--json'],
    ['backup', 'web01', '--nonsense', '--json'],
  ]) {
    const outcome = await line.run(argv);
    assert.equal(outcome.code, 64);
    assert.equal(outcome.json().error.code, 'CLI_USAGE');
  }
});

test('a secret given as an option is refused and not repeated', async () => {
  await using line = await CommandLine.open();
  const add = ['host', 'add', 'hv2', '--url', 'http://hv2', '--user', 'u'];
  for (const argv of [
    [...add, `--password=${PASSWORD}`],
    [...add, '--password', PASSWORD],
    ['points', `--passphrase=${PASSWORD}`],
    ['points', `--passphrases=${PASSWORD}`, '--json'],
    ['points', PASSWORD],
    ['host', 'add', 'hv2', '--user', 'u', '--url', `http://u:${PASSWORD}@hv2`],
  ]) {
    const { code, stdout, stderr } = await line.run(argv);
    assert.equal(code, 64, argv.join(' '));
    assert.ok(!(stdout + stderr).includes(PASSWORD), stdout + stderr);
  }
});

test('no option takes a secret itself: each names a file or a variable', async () => {
  await using line = await CommandLine.open();
  for (const [words] of EVERY_COMMAND.concat([['host add', undefined]])) {
    const { stdout } = await line.run([...words.split(' ').slice(0, 2), '--help']);
    for (const [option] of stdout.matchAll(/--[a-z0-9-]*(pass|secret|key)[a-z0-9-]*/g)) {
      assert.match(option, /-file$|-env$|^--save-recovery-key$/);
    }
  }
});

test('help and the version go to stdout with exit code 0; no command at all is a usage error', async () => {
  await using line = await CommandLine.open();
  const help = await line.run(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /backup \[options\] \[vm\.\.\.\]/);
  const version = await line.run(['--version']);
  assert.deepEqual([version.code, version.stdout], [0, '0.1.0\n']);
  const nothing = await line.run([]);
  assert.deepEqual([nothing.code, nothing.stdout], [64, '']);
  assert.match(nothing.stderr, /Usage: hvlift/);
});

test('names from a host cannot drive the terminal', async () => {
  await using line = await CommandLine.open();
  const name = 'web\u009b31m\u001b]0;owned\u0007\u202e01\nerror FAKE: gone';
  const engine: Partial<Engine> = {
    async *backup(_request, { progress }) {
      progress.phase(`reading ${name}`);
      progress.note(`reading ${name}`);
      yield backupRun({ vm: { id: '1', name }, error: new Error(name) });
    },
  };
  for (const argv of [
    ['backup', 'x'],
    ['backup', 'x', '--json', '--progress', 'json'],
  ]) {
    const { stdout, stderr } = await line.run(argv, { engine });
    assert.doesNotMatch(stdout + stderr, /[\u001b\u0007\u009b\u202e]/); // oxlint-disable-line no-control-regex
    assert.doesNotMatch(stdout + stderr, /^error FAKE/m);
  }
});

test('output whose reader went away does not stop the work or change the exit code', async () => {
  await using line = await CommandLine.open();
  const { Writable } = await import('node:stream');
  const stdout = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    },
  });
  let finished = 0;
  const { code } = await line.run(['backup', 'web01', 'web02', 'web03'], {
    stdout,
    engine: {
      async *backup({ vms }) {
        for (const name of vms) {
          yield backupRun({ vm: { id: name, name } });
          finished += 1;
        }
      },
    },
  });
  assert.equal(code, 0);
  assert.equal(finished, 3);
});
