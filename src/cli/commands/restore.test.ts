import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { CommandLine, Sink } from '../command-line.fixture.ts';
import type { RestoreRequest } from '../engine.ts';
import { RESTORED } from '../fake-engine.fixture.ts';
import { Interrupts } from '../interrupts.ts';
import type { OutputStream } from '../io.ts';

test('the request says which point, which disks, where and in which format', async () => {
  await using line = await CommandLine.open();
  const request = async (...argv: string[]): Promise<RestoreRequest> =>
    (await line.run(['restore', ...argv])).calls[0]!.request as RestoreRequest;
  const plain = await request('a1b2', '--to', 'out');
  assert.deepEqual(plain.point, { kind: 'id', id: 'a1b2' });
  assert.deepEqual([plain.to, plain.format, plain.disks], [join(line.home, 'out'), 'vhdx', []]);
  const chosen = await request(
    'latest',
    '--vm',
    'web01',
    '--disk',
    '1,3',
    '--disk',
    '5',
    '--to',
    '~/x',
    '--format',
    'qcow2',
  );
  assert.deepEqual(chosen.point, { kind: 'latest', vm: 'web01' });
  assert.deepEqual(
    [chosen.to, chosen.format, chosen.disks],
    [join(line.home, 'x'), 'qcow2', ['1', '3', '5']],
  );
});

test('the files written are listed, with a warning and exit code 4 when there is one', async () => {
  await using line = await CommandLine.open();
  const plain = await line.run(['restore', 'a1b2', '--to', '/restored']);
  assert.deepEqual(plain.stdout.split('\n'), [
    'web01: point a1b2c3d4e5f6a7b8 restored to /restored in 0:41, consistency application (asked: application-preferred)',
    '  DISK  VIRTUAL  WRITTEN  MB/s  FILE',
    '  1      64 GiB   20 GiB   537  web01-disk1.vhdx',
    '',
  ]);
  const warned = await line.run(['restore', 'a1b2', '--to', 'x', '--json'], {
    engine: {
      restore: async () => ({ ...RESTORED, warnings: [{ code: 'W', message: 'crash-consistent only' }] }),
    },
  });
  assert.equal(warned.code, 4);
  assert.deepEqual(warned.json().disks, RESTORED.disks);
});

test('to stdout go the bytes and nothing else; what was sent is said on stderr', async () => {
  await using line = await CommandLine.open();
  const pieces: Buffer[] = [];
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      pieces.push(chunk);
      done();
    },
  });
  const argv = ['restore', 'a1b2', '--to', '-', '--format', 'raw', '--disk', '2'];
  const { code, stderr, calls } = await line.run(argv, { stdout });
  assert.equal(code, 0);
  assert.deepEqual(Buffer.concat(pieces), Buffer.from('bytes of \u0000\u00ff\n', 'latin1'));
  assert.match(stderr, /12 B sent as raw/);
  const request = calls[0]!.request as { disks: string[]; format: string };
  assert.deepEqual([request.disks, request.format], [['2'], 'raw']);
});

test('bytes go neither to a terminal nor into a document, nor in a format that has to go back', async () => {
  await using line = await CommandLine.open();
  const refused = async (argv: string[], stdout?: OutputStream): Promise<string> => {
    const outcome = await line.run(['restore', 'a1b2', '--to', '-', ...argv], stdout ? { stdout } : {});
    assert.deepEqual([outcome.code, outcome.calls], [64, []]);
    return outcome.stderr + outcome.stdout;
  };
  assert.match(await refused([]), /raw, vmdk-stream, ova/);
  assert.match(await refused(['--format', 'ova', '--json']), /--json/);
  const terminal = Object.assign(new Sink(), { isTTY: true });
  assert.match(await refused(['--format', 'ova'], terminal), /terminal/);
});

test('a reader that ends early fails the restore', async () => {
  await using line = await CommandLine.open();
  const stdout = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const { code, stderr } = await line.run(['restore', 'a1b2', '--to', '-', '--format', 'raw'], { stdout });
  assert.equal(code, 75);
  assert.match(stderr, /CLI_READER_GONE/);
});

test('a reader that stands still does not keep Ctrl-C from ending the stream', async () => {
  await using line = await CommandLine.open();
  const interrupts = new Interrupts(() => {});
  const stdout = new Writable({ highWaterMark: 1, write: () => interrupts.press() });
  const argv = ['restore', 'a1b2', '--to', '-', '--format', 'raw'];
  assert.equal((await line.run(argv, { stdout, interrupts })).code, 130);
});
