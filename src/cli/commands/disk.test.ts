import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import type { DiskRun } from '../../flows/index.ts';
import { CommandLine, Sink } from '../command-line.fixture.ts';
import type { Warning } from '../../base/index.ts';
import type { DiskEngine } from '../engine.ts';
import { DISK_FILE } from '../fake-engine.fixture.ts';
import { Interrupts } from '../interrupts.ts';

test('the requests say which files, in which folders parents are looked for, and what is asked', async () => {
  await using line = await CommandLine.open();
  const asked = async (...argv: string[]): Promise<unknown> => {
    const { code, calls, stderr } = await line.run(['disk', ...argv]);
    assert.equal(code, 0, stderr);
    return calls[0]!.request;
  };
  const file = { path: join(line.home, 'a.avhdx'), parentFolders: [] };
  const found = { ...file, parentFolders: ['/p', join(line.home, 'q')] };
  assert.deepEqual(await asked('info', 'a.avhdx', '--parents', '/p', '--parents', 'q'), found);
  assert.deepEqual(await asked('map', '~/a.avhdx', '--layer', '2'), { ...file, layer: 2 });
  assert.deepEqual(await asked('hash', 'a.avhdx', '--tree'), { ...file, tree: true });
  const other = join(line.home, 'b.raw');
  assert.deepEqual(await asked('compare', 'a.avhdx', 'b.raw', '--all', '--strict'), {
    ...file,
    other,
    all: true,
    strict: true,
  });
  assert.deepEqual(await asked('convert', 'a.avhdx', 'b.raw', '--overwrite', '--verify'), {
    ...file,
    target: other,
    format: 'raw',
    overwrite: true,
    verify: true,
  });
  assert.deepEqual(await asked('check', 'a.avhdx', '--repair', 'b.raw'), { ...file, repairTo: other });
});

test('the ending of the target chooses the format, unless --to does', async () => {
  await using line = await CommandLine.open();
  const formatOf = async (...argv: string[]): Promise<unknown> =>
    ((await line.run(['disk', 'convert', 'a', ...argv])).calls[0]?.request as { format?: string })?.format;
  const chosen = ['x.raw', 'x.IMG', 'x.vhdx', 'x.vhd', 'x.qcow2', 'x.vmdk'].map((name) => formatOf(name));
  assert.deepEqual(await Promise.all(chosen), ['raw', 'raw', 'vhdx', 'vhd', 'qcow2', 'vmdk']);
  assert.equal(await formatOf('x.vmdk', '--to', 'vmdk-flat'), 'vmdk-flat');
});

test('mistakes are told before anything is opened', async () => {
  await using line = await CommandLine.open();
  const terminal = Object.assign(new Sink(), { isTTY: true });
  const mistakes = [
    { argv: ['convert', 'a', 'x.bin'], says: /no format: give --to/ },
    { argv: ['convert', 'a', 'x', '--to', 'ova'], says: /ova/ },
    { argv: ['convert', 'a', '-', '--to', 'qcow2'], says: /raw, vmdk-stream/ },
    { argv: ['convert', 'a', '-', '--verify'], says: /stdout/ },
    { argv: ['convert', 'a', '-', '--json'], says: /--json/ },
    { argv: ['convert', 'a', '-'], says: /terminal/, stdout: terminal },
    { argv: ['map', 'a', '--layer', '-1'], says: /--layer is a number/ },
    { argv: ['map', 'a', '--layer', 'x'], says: /--layer is a number/ },
  ];
  for (const { argv, says, stdout } of mistakes) {
    const { code, stderr, calls } = await line.run(['disk', ...argv], stdout ? { stdout } : {});
    assert.deepEqual([code, calls], [64, []], argv.join(' '));
    assert.match(stderr, says);
  }
});

/** A map of as many runs as are asked for, which counts them. */
class EndlessMap {
  produced = 0;

  readonly mapDisk: DiskEngine['mapDisk'] = (_request, _task, use) => {
    const none = { bytes: 0, runs: 0 };
    const totals = { data: none, zero: none, hole: none };
    return use({ virtualBytes: 2 ** 46, files: [], runs: this.#runs(), totals });
  };

  async *#runs(): AsyncGenerator<DiskRun> {
    for (;;) {
      yield { offset: 4096 * this.produced, length: 4096, kind: 'hole' };
      this.produced += 1;
    }
  }
}

for (const options of [[], ['--json']]) {
  test(`a map without end waits for its reader and ends with it ${options.join('')}`, async () => {
    await using line = await CommandLine.open();
    const map = new EndlessMap();
    let written = 0;
    // The first pieces are taken, then the reader stands still for a while, then it goes away.
    const stdout = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _encoding, done) {
        written += chunk.length;
        if (written < 500_000) return done();
        const before = map.produced;
        setTimeout(() => {
          assert.equal(map.produced, before, 'nothing is made for a reader that stands still');
          done(new Error('EPIPE'));
        }, 20);
      },
    });
    const run = await line.run(['disk', 'map', 'a', ...options], {
      engine: { mapDisk: map.mapDisk },
      stdout,
    });
    assert.equal(run.code, 0, run.stderr);
    assert.ok(map.produced < 50_000);
  });
}

test('info ends with 0, with 4 when something is missing, and with 3 when something is damaged', async () => {
  await using line = await CommandLine.open();
  const warning = { code: 'VHDX_PARENT_MISSING', message: 'not there', remedy: 'bring it' };
  const codeOf = async (damaged: boolean, warnings: readonly Warning[]): Promise<number> => {
    const diskInfo = async () => ({ ...DISK_FILE, parents: [], damaged, warnings });
    return (await line.run(['disk', 'info', 'a'], { engine: { diskInfo } })).code;
  };
  const codes = [await codeOf(false, []), await codeOf(false, [warning]), await codeOf(true, [warning])];
  assert.deepEqual(codes, [0, 4, 3]);
});

test('info tells all there is of a file, and nothing of what its format does not have', async () => {
  await using line = await CommandLine.open();
  const told = (await line.run(['disk', 'info', '/a.vhdx'])).stdout.split('\n');
  assert.deepEqual(told, [
    '/a.vhdx',
    '  format          VHDX, dynamic',
    '  virtual size    64 GiB (68719476736 bytes)',
    '  file            2 GiB (2147483648 bytes), 1 GiB on its volume',
    '  block size      32 MiB',
    '  sectors         512 bytes, 4096 physical',
    `  disk id         ${DISK_FILE.virtualDiskId}`,
    `  content id      ${DISK_FILE.dataWriteGuid}`,
    `  file id         ${DISK_FILE.fileWriteGuid}`,
    '  created by      "Microsoft Windows 10.0.20348.0"',
    '  log             empty',
    '  holds           1 GiB (1073741824 bytes) of the disk',
    '',
  ]);
});

test('a comparison that breaks in a way nobody foresaw does not end as one that found a difference', async () => {
  await using line = await CommandLine.open();
  const compareDisks = async (): Promise<never> => {
    throw new TypeError('x is undefined');
  };
  const { code, stderr } = await line.run(['disk', 'compare', 'a', 'b'], { engine: { compareDisks } });
  assert.equal(code, 70);
  assert.match(stderr, /CLI_COMPARISON_BROKE.*x is undefined/);
});

test('disks of two sizes are told to be so, whether they are the same or not', async () => {
  await using line = await CommandLine.open();
  const told = async (equal: boolean, more: object = {}): Promise<string> => {
    const record = {
      paths: ['a', 'b'],
      equal,
      virtualBytes: [1024, 2048],
      comparedBytes: 0,
      ...more,
    } as const;
    const compareDisks = async () => record;
    return (await line.run(['disk', 'compare', 'a', 'b'], { engine: { compareDisks } })).stdout;
  };
  assert.equal(
    await told(true),
    'the same: 2 KiB\nthe sizes are 1024 and 2048 bytes; what the longer disk has more is zeros\n',
  );
  assert.equal(await told(false), 'different\nthe sizes are 1024 and 2048 bytes\n');
  assert.match(await told(false, { firstDifference: 1500 }), /^different: first at byte 1500, in sector 2\n/);
});

test('Ctrl-C ends a conversion to stdout whose reader stands still', async () => {
  await using line = await CommandLine.open();
  const interrupts = new Interrupts(() => {});
  const stdout = new Writable({ highWaterMark: 1, write: () => interrupts.press() });
  assert.equal((await line.run(['disk', 'convert', 'a', '-'], { stdout, interrupts })).code, 130);
});
