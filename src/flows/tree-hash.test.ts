import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { requires } from '../../test/requires.ts';
import { KiB, MiB, TiB } from '../base/index.ts';
import { hashDisk } from './hash-disk.ts';
import { TreeHash } from './tree-hash.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-tree-'));
after(() => rmSync(folder, { recursive: true }));
const page = readFileSync(join(import.meta.dirname, '../../docs/formats/tree-hash.md'), 'utf8');

function treeHashOf(size: number, blocks: readonly (readonly [index: number, bytes: Uint8Array])[]): string {
  const tree = new TreeHash(size);
  for (const [index, bytes] of blocks) tree.add(index * MiB, bytes);
  return tree.digest();
}

/** What the program on the page prints for each file. */
function printedByPage(files: readonly string[]): string[] {
  const program = /```python\n([^]*?)```/.exec(page)![1]!;
  const run = spawnSync('python3', ['-c', program, ...files], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout.trim().split('\n');
}

test(
  'raw images of every length around a block, with blocks of zeros anywhere, hash as the program of the page says',
  requires(['python3'], 'that the tree hash is the one of docs/formats/tree-hash.md'),
  async () => {
    const shape = fc.record({
      sectors: fc.oneof(
        fc.constantFrom(1, 2047, 2048, 2049, 4096, 6144, 8192, 8193),
        fc.integer({ min: 1, max: 20_000 }),
      ),
      dataIn: fc.array(fc.nat(10), { maxLength: 6 }),
    });
    const files = fc.sample(shape, { numRuns: 25, seed: 7 }).map(({ sectors, dataIn }, number) => {
      const bytes = Buffer.alloc(sectors * 512);
      for (const block of dataIn)
        bytes.subarray(block * MiB, block * MiB + 64 * KiB).fill(number + block + 1);
      const file = join(folder, `${number}.raw`);
      writeFileSync(file, bytes);
      return file;
    });
    const hashed: string[] = [];
    for (const file of files) hashed.push((await hashDisk(file, { tree: true })).hash);
    assert.deepEqual(hashed, printedByPage(files));
    assert.ok(new Set(hashed).size > 20);
  },
);

test('the values on the page', () => {
  const values = [...page.matchAll(/^\| (\d+ \w+ of .+) \| `([0-9a-f]{64})` \|$/gm)].map((row) => row[2]);
  assert.deepEqual(values, [
    treeHashOf(512, []),
    treeHashOf(MiB, [[0, Buffer.alloc(MiB, 0x5a)]]),
    treeHashOf(64 * TiB, []),
  ]);
});

test('64 TiB of zeros are 26 levels of trees of zeros', () => {
  const sha = (...parts: Uint8Array[]): Buffer =>
    parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
  let zeros = sha(Buffer.from([0]), Buffer.alloc(MiB));
  for (let level = 0; level < 26; level += 1) zeros = sha(Buffer.from([1]), zeros, zeros);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(64 * TiB));
  assert.equal(treeHashOf(64 * TiB, []), sha(Buffer.from([2]), size, zeros).toString('hex'));
});

test('stored zeros hash as zeros that are not there, and every byte and the size count', () => {
  const data = Buffer.alloc(MiB, 3);
  const one = treeHashOf(9 * MiB, [[4, data]]);
  assert.equal(treeHashOf(9 * MiB, [[1, Buffer.alloc(MiB)], [4, data], [8, Buffer.alloc(MiB)]]), one); // oxfmt-ignore
  const other = Buffer.from(data);
  other[MiB - 1] = 4;
  const hashes = [
    one,
    treeHashOf(9 * MiB, [[4, other]]),
    treeHashOf(9 * MiB, [[5, data]]),
    treeHashOf(9 * MiB - 512, [[4, data]]),
    treeHashOf(16 * MiB, [[4, data]]),
  ];
  assert.equal(new Set(hashes).size, hashes.length);
});
