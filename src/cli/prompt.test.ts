import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CommandLine, Keyboard, Sink } from './command-line.fixture.ts';
import { Interrupts } from './interrupts.ts';
import { TypedLine } from './prompt.ts';

const CONFIG = 'hosts: { hv1: { url: "http://hv1", user: backup } }\n';

/** Types each answer when the question for it has been asked. */
function typist(answers: readonly (string | Buffer)[]): { keyboard: Keyboard; stderr: Sink } {
  const keyboard = new Keyboard();
  const stderr = new Sink();
  const left = [...answers];
  const write = stderr.write.bind(stderr);
  stderr.write = ((text: string) => {
    if (text.endsWith(': ')) setImmediate(() => keyboard.write(left.shift() ?? '\u0003'));
    return write(text);
  }) as typeof stderr.write;
  return { keyboard, stderr };
}

test('a password is asked for without echo, and the terminal is put back', async () => {
  await using line = await CommandLine.open();
  const { keyboard, stderr } = typist(['geheim\r']);
  let password = '';
  const { code, stdout } = await line.run(['vms'], {
    config: CONFIG,
    stdin: keyboard,
    stderr,
    engine: {
      async vms(host) {
        password = (await host.password()).reveal();
        await host.password();
        return [];
      },
    },
  });
  assert.equal(code, 0);
  assert.equal(password, 'geheim');
  assert.deepEqual(keyboard.rawModes, [true, false]);
  assert.equal(stderr.text, 'The password of backup on host hv1: \n');
  assert.ok(!stdout.includes('geheim'));
});

test('Ctrl-C, Ctrl-D and a closed terminal give up with 130, and the terminal is put back', async () => {
  await using line = await CommandLine.open();
  for (const keys of ['gehe\u0003', '\u0004']) {
    const { keyboard, stderr } = typist([keys]);
    const interrupts = new Interrupts(() => {});
    const { code } = await line.run(['vms'], { config: CONFIG, stdin: keyboard, stderr, interrupts });
    assert.equal(code, 130);
    assert.deepEqual(keyboard.rawModes, [true, false]);
    assert.equal(interrupts.signal.aborted, keys.endsWith('\u0003'));
    const [question, next] = stderr.text.split('\n');
    assert.match(question!, /on host hv1: $/);
    assert.match(next!, keys.endsWith('\u0003') ? /^stopping: / : /^error RUN_CANCELLED/);
  }
  const { keyboard, stderr } = typist([]);
  keyboard.end();
  assert.equal((await line.run(['vms'], { config: CONFIG, stdin: keyboard, stderr })).code, 130);
});

test('a new passphrase is asked for twice, and two that differ make no repository', async () => {
  await using line = await CommandLine.open();
  const answers: [string[], number][] = [
    [['one\r', 'one\r'], 0],
    [['one\r', 'two\r'], 2],
    [['\r'], 2],
  ];
  for (const [typed, expected] of answers) {
    const { keyboard, stderr } = typist(typed);
    const { code, calls } = await line.run(['init', '--repo', './new'], { stdin: keyboard, stderr });
    assert.equal(code, expected);
    assert.equal(calls.length, expected === 0 ? 1 : 0);
  }
});

test('without a terminal the fault says what to do instead', async () => {
  await using line = await CommandLine.open();
  const { code, stderr } = await line.run(['vms'], { config: CONFIG });
  assert.equal(code, 2);
  assert.match(stderr, /error SECRET_NO_TERMINAL: the password of backup on host hv1 is needed/);
  assert.match(stderr, /do: give host hv1 a passwordFile or passwordEnv in .*config\.yaml/);
});

test('what is typed arrives whole, however the terminal cuts it into chunks', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      fc.infiniteStream(fc.integer({ min: 1, max: 4 })),
      (text, cuts) => {
        const printable = text.replace(/[\u0000-\u001f\u007f]/g, ''); // oxlint-disable-line no-control-regex
        const bytes = Buffer.from(`${printable}\r`);
        const line = new TypedLine();
        let end: string | undefined;
        for (let at = 0; at < bytes.length;) {
          const next = at + cuts.next().value;
          end = line.type(bytes.subarray(at, next));
          at = next;
        }
        assert.deepEqual([line.text, end], [printable, 'enter']);
      },
    ),
  );
});

test('editing keys edit; arrow keys and function keys leave nothing behind', () => {
  const typed = (keys: string): string => {
    const line = new TypedLine();
    line.type(Buffer.from(keys));
    return line.text;
  };
  assert.equal(typed('abx\u007fc'), 'abc');
  assert.equal(typed('ä\u007f\u007fb'), 'b');
  assert.equal(typed('wrong\u0015right'), 'right');
  assert.equal(typed('a\u001b[Ab\u001b[3~c\u001bOPd'), 'abcd');
  assert.equal(typed('x'.repeat(100_000)).length, 4096);
});
