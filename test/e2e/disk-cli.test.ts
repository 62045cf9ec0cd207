/** `hvlift disk` as its user meets it: a process, its streams and its exit codes. What it computes, the tests of src/flows judge. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GiB, MiB } from '../../src/base/index.ts';
import { knownChain } from '../../src/flows/disk-files.fixture.ts';
import { createVhdx } from '../../src/vhdx/index.ts';
import { requires } from '../requires.ts';
import { assertFailed } from './cli.fixture.ts';
import { DiskFiles } from './disk-files.fixture.ts';

const files = new DiskFiles();
const { content, leaf, base } = await knownChain(files.at('vm'));
const LEAF = join('vm', 'leaf.avhdx');
writeFileSync(files.at('whole.raw'), content);

/** As sha256sum prints it of a pipe. */
function sumOf(name: string): string {
  return files.judge('sh', ['-c', `sha256sum < ${name}`]);
}
const SUMS = [sumOf(LEAF), sumOf('vm/base.vhdx')];

test(
  'convert takes the format from the name, says what it wrote, and QEMU finds the same disk',
  requires(['qemu-img'], 'that the program converts a chain into what is read elsewhere'),
  async () => {
    const { stdout } = await files.ok('convert', LEAF, 'made.QCOW2');
    assert.match(stdout, /made\.QCOW2: qcow2, 40 MiB, [\d.]+ MiB written in /);
    files.judge('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', 'made.QCOW2', 'whole.raw']);
    const run = await files.ok('convert', LEAF, 'made.vhdx', '--verify', '--json');
    const { source, target, format, verified } = run.json();
    assert.deepEqual([source, target, format, verified], [leaf, files.at('made.vhdx'), 'vhdx', true]);
  },
);

test(
  'to stdout go the bytes of the image and nothing else',
  requires(['qemu-img'], 'that a stream is read elsewhere'),
  () => {
    const hvlift = join(import.meta.dirname, '..', '..', 'bin', 'hvlift.js');
    const sent = (command: string): string =>
      files.judge('sh', ['-c', `"$0" "$1" disk convert ${LEAF} ${command}`, process.execPath, hvlift]);
    assert.equal(sent('- | sha256sum'), sumOf('whole.raw'));
    sent('- --to vmdk-stream > piped.vmdk');
    files.judge('qemu-img', ['compare', '-f', 'vmdk', '-F', 'raw', 'piped.vmdk', 'whole.raw']);
  },
);

test('what is there is not replaced unasked, and the source never', async () => {
  writeFileSync(files.at('there.raw'), 'precious');
  assertFailed(await files.run('convert', LEAF, 'there.raw'), { exit: 2, code: 'IMAGE_EXISTS' });
  assert.equal(readFileSync(files.at('there.raw'), 'utf8'), 'precious');
  await files.ok('convert', LEAF, 'there.raw', '--overwrite');
  assert.equal(Buffer.compare(readFileSync(files.at('there.raw')), content), 0);
  const own = await files.run('convert', LEAF, base, '--overwrite');
  assertFailed(own, { exit: 2, code: 'FLOW_TARGET_IS_SOURCE' });
});

test('Ctrl-C in the middle of a conversion leaves nothing', async () => {
  // All of a fixed disk is read, and its zeros take no room here; the holes of a raw file would be passed over.
  await createVhdx(files.at('long.vhdx'), { size: 512 * GiB, kind: 'fixed' });
  mkdirSync(files.at('stopped'));
  const run = files.start('convert', 'long.vhdx', 'stopped/out.vhdx');
  await run.said('convert long.vhdx');
  run.process.kill('SIGINT');
  const ended = await run.ended;
  assertFailed(ended, { exit: 130, code: 'RUN_CANCELLED' });
  assert.match(ended.stderr, /^stopping: removing the image/m);
  assert.deepEqual(readdirSync(files.at('stopped')), []);
});

test('a source that changes while it is sent fails the run: what was read is of no one moment', async () => {
  copyFileSync(files.at('whole.raw'), files.at('changing.raw'));
  const run = files.start('convert', 'changing.raw', '-');
  // Nobody reads stdout, so the program stands still in the middle.
  run.process.stdout!.pause();
  await run.said('send changing.raw');
  await appendFile(files.at('changing.raw'), Buffer.alloc(512));
  run.process.stdout!.resume();
  assertFailed(await run.ended, { exit: 75, code: 'FLOW_SOURCE_CHANGED' });
});

test('info tells the file and its chain, in words and as a document', async () => {
  writeFileSync(files.at('vm', 'base.vhdx.rct'), 'what Windows keeps here');
  const { parents, warnings, ...file } = (await files.ok('info', LEAF, '--json')).json();
  assert.deepEqual([file.path, file.format, file.kind], [leaf, 'vhdx', 'differencing']);
  assert.deepEqual(warnings, []);
  const [parent] = parents;
  assert.deepEqual([parent.path, parent.foundBy, parent.kind], [base, 'relative path', 'dynamic']);
  assert.deepEqual(parent.trackingFiles, [`${base}.rct`]);
  assert.equal(parent.virtualDiskId, file.virtualDiskId);
  assert.equal(parent.dataWriteGuid, file.parent.parentLinkage);
  assert.ok(file.heldBytes < file.heldByChainBytes, 'the chain holds more than its last file');
  const { stdout } = await files.ok('info', LEAF);
  assert.match(stdout, /^ {2}virtual size +40 MiB \(41943040 bytes\)$/m);
  assert.match(stdout, /^parent 1, found by its relative path: .*base\.vhdx$/m);
  assert.match(stdout, /^ {2}change tracking +base\.vhdx\.rct$/m);
});

test(
  'info agrees with qemu-img info on the size of the disk and on the room that the file takes',
  requires(['qemu-img'], 'sizes by a second reader'),
  async () => {
    files.judge('qemu-img', ['create', '-f', 'vhdx', '-o', 'block_size=8M', 'q.vhdx', '77M']);
    files.judge('qemu-img', ['create', '-f', 'vpc', '-o', 'subformat=dynamic,force_size=on', 'q.vhd', '12M']);
    for (const name of ['q.vhdx', 'q.vhd']) {
      const theirs = JSON.parse(files.judge('qemu-img', ['info', '--output=json', name]));
      const ours = (await files.ok('info', name, '--json')).json();
      assert.deepEqual(
        [ours.virtualBytes, ours.occupiedBytes],
        [theirs['virtual-size'], theirs['actual-size']],
      );
    }
  },
);

test('without its parent a file is told of with a warning and read by nothing else, until --parents names the folder', async () => {
  mkdirSync(files.at('moved'));
  mkdirSync(files.at('elsewhere'));
  copyFileSync(leaf, files.at('moved', 'leaf.avhdx'));
  copyFileSync(base, files.at('elsewhere', 'base.vhdx'));
  const alone = await files.run('info', 'moved/leaf.avhdx', '--json');
  const { warnings, parents, virtualBytes } = alone.json();
  assert.deepEqual(
    [alone.code, warnings[0].code, parents, virtualBytes],
    [4, 'VHDX_PARENT_MISSING', [], 40 * MiB],
  );
  const mapped = await files.run('map', 'moved/leaf.avhdx', '--json');
  assertFailed(mapped, { exit: 2, code: 'VHDX_PARENT_MISSING' });
  const folders = ['--parents', 'nowhere', '--parents', 'elsewhere'];
  await files.ok('compare', 'moved/leaf.avhdx', 'whole.raw', ...folders);
});

test('map shows each run in a line, in words and in the document alike, and the totals', async () => {
  interface Run {
    readonly offset: number;
    readonly length: number;
    readonly kind: string;
    readonly layer?: number;
    readonly fileOffset?: number;
  }
  const document = await files.ok('map', LEAF, '--json');
  const { runs, totals, virtualBytes } = document.json() as {
    runs: Run[];
    totals: Record<string, { bytes: number }>;
    virtualBytes: number;
  };
  assert.equal(document.stdout.split('\n').filter((line) => line.includes('"offset"')).length, runs.length);
  assert.equal(totals['data']!.bytes + totals['zero']!.bytes + totals['hole']!.bytes, virtualBytes);
  const lines = (await files.ok('map', LEAF)).stdout.trim().split('\n');
  assert.deepEqual(lines.slice(0, 2), [`layer 0: ${leaf}`, `layer 1: ${base}`]);
  assert.match(lines[2]!, /^ +OFFSET +LENGTH +KIND +LAYER +FILE OFFSET$/);
  const cells = lines.slice(3, -3).map((line) => line.trim().split(/\s+/).join(' '));
  const expected = runs.map(({ offset, length, kind, layer, fileOffset }) =>
    [offset, length, kind, layer, fileOffset].filter((cell) => cell !== undefined).join(' '),
  );
  assert.deepEqual(cells, expected);
  assert.match(lines.at(-3)!, /^data: .* in \d+ runs$/);
});

test(
  'compare ends as cmp does, where qemu-img compare finds the same: 0, 1, and never 1 when it failed',
  requires(['qemu-img'], 'that a comparison ends as that of a second program'),
  async () => {
    const other = Buffer.from(content);
    const at = 20 * MiB + 777;
    other[at] = 200;
    writeFileSync(files.at('other.raw'), other);
    assert.match((await files.ok('compare', LEAF, 'whole.raw')).stdout, /^the same: 40 MiB$/m);
    const theirs = files.judge(
      'qemu-img',
      ['compare', '-f', 'raw', '-F', 'raw', 'whole.raw', 'other.raw'],
      [1],
    );
    assert.ok(theirs.includes(`at offset ${Math.floor(at / 512) * 512}`), 'QEMU tells the sector');
    const different = await files.run('compare', LEAF, 'other.raw', '--all');
    assert.equal(different.code, 1);
    assert.ok(different.stdout.includes(`first at byte ${at}, in sector ${Math.floor(at / 512)}`));
    assert.match(different.stdout, /^1 byte in 1 sector of 512 bytes differ/m);
    const failed = await files.run('compare', LEAF, 'nothing.raw', '--json');
    assertFailed(failed, { exit: 2, code: 'FLOW_NO_SUCH_FILE' });
  },
);

test('hash prints what sha256sum prints of a raw image', async () => {
  const { stdout } = await files.ok('hash', LEAF);
  assert.equal(stdout, `${sumOf('whole.raw').slice(0, 64)}  ${LEAF}\n`);
});

test('damage is exit code 3 with every command that reads', async () => {
  copyFileSync(base, files.at('cut.vhdx'));
  truncateSync(files.at('cut.vhdx'), 2.5 * MiB);
  for (const argv of [['info'], ['hash', '--json']]) {
    const run = await files.run(argv[0]!, 'cut.vhdx', ...argv.slice(1));
    assertFailed(run, { exit: 3, code: 'VHDX_TRUNCATED' });
  }
});

test('none of it changed a file of the chain', () => {
  assert.deepEqual([sumOf(LEAF), sumOf('vm/base.vhdx')], SUMS);
});
