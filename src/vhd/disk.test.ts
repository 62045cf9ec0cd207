import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, KiB, MiB, hasCode, isZero, newGuid } from '../base/index.ts';
import { CountingReader, FileReader } from '../disk/index.ts';
import { endOf } from '../extents/index.ts';
import { beside, buildVhd, type BuiltBlock } from './built-vhd.fixture.ts';
import { openVhdChain } from './chain.ts';
import { createPlacedVhd, createVhd } from './create.ts';
import type { VhdDisk } from './disk.ts';
import { assertSameBytes, openFile, scratchFolder, withChain } from './scratch.fixture.ts';

const folder = scratchFolder();
let names = 0;
const newPath = (): string => join(folder, `${(names += 1)}.vhd`);

/** One file of a chain: blocks in some order of the file, each with runs of sectors that are there. */
const anyLayer = fc.record({
  blockSize: fc.constantFrom(64 * KiB, 512 * KiB, 2 * MiB),
  size: fc.constantFrom(MiB, 2 * MiB + 512, 3 * MiB),
  gap: fc.nat({ max: 3 }),
  spareEntries: fc.nat({ max: 300 }),
  shuffle: fc.integer(),
  blocks: fc.array(
    fc.record({
      at: fc.nat({ max: 47 }),
      fill: fc.integer({ min: 1, max: 255 }),
      pattern: fc.constantFrom('all', 'none', 'thirds', 'tail', 'head'),
    }),
    { maxLength: 6 },
  ),
});
type AnyLayer = typeof anyLayer extends fc.Arbitrary<infer T> ? T : never;

const PATTERNS: Record<string, (sector: number) => boolean> = {
  all: () => true,
  none: () => false,
  thirds: (sector) => sector % 3 === 0,
  tail: (sector) => sector > 70,
  head: (sector) => sector < 9,
};

/** Writes the layers, base first, and returns the leaf's path with what the chain must read as. */
function buildChain(
  layers: readonly AnyLayer[],
  fixedBase: boolean,
): { leaf: string; model: Buffer; paths: string[] } {
  let model: Buffer = Buffer.alloc(0);
  const paths: string[] = [];
  let parentId: string | undefined;
  for (const layer of layers) {
    const path = newPath();
    const uniqueId = newGuid();
    const below = Buffer.concat([model], layer.size);
    if (!parentId && fixedBase) {
      const content = Buffer.alloc(layer.size, 'fixed disk ');
      buildVhd(path, { kind: 'fixed', size: layer.size, uniqueId, content });
      model = content;
    } else {
      const blocks = blocksOf(layer);
      const tableEntries = Math.ceil(layer.size / layer.blockSize) + layer.spareEntries;
      const parent = parentId ? { parentId, locators: beside(basename(paths.at(-1)!)) } : {};
      const kind = parentId ? 'differencing' : 'dynamic';
      buildVhd(path, { ...layer, kind, uniqueId, tableEntries, ...parent, blocks });
      model = overlaid(below, blocks, layer.blockSize);
    }
    paths.push(path);
    parentId = uniqueId;
  }
  return { leaf: paths.at(-1)!, model, paths };
}

function blocksOf({ blocks, blockSize, size, shuffle }: AnyLayer): BuiltBlock[] {
  const count = Math.ceil(size / blockSize);
  const chosen = new Map(blocks.map((block) => [block.at % count, block]));
  return [...chosen]
    .sort(([a], [b]) => ((a * 31 + shuffle) % 17) - ((b * 31 + shuffle) % 17))
    .map(([index, { fill, pattern }]) => {
      const data = Buffer.alloc(blockSize);
      // What is in a sector without its bit is an old remainder, and never content.
      for (let at = 0; at < blockSize; at += 512) data.fill(1 + ((fill + at / 512) % 255), at, at + 512);
      return { index, data, has: PATTERNS[pattern]! };
    });
}

function overlaid(below: Buffer, blocks: readonly BuiltBlock[], blockSize: number): Buffer {
  const disk = Buffer.from(below);
  for (const { index, data, has } of blocks) {
    for (let at = 0; at < blockSize && index * blockSize + at < disk.length; at += 512) {
      if (has!(at / 512)) data.copy(disk, index * blockSize + at, at, at + 512);
    }
  }
  return disk;
}

test('any chain reads as its files say: sector by sector, whatever the blocks, sizes and order in the file', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyLayer, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 300_000 })), { maxLength: 5 }),
      async (layers, fixedBase, ranges) => {
        const { leaf, model, paths } = buildChain(layers, fixedBase);
        await withChain(leaf, async (disk) => {
          assert.equal(disk.size, model.length);
          const whole = Buffer.alloc(disk.size, 0xee);
          await disk.read(0, whole);
          assertSameBytes(whole, model, 'whole');
          await Promise.all(ranges.map(([at, length]) => checkRange(disk, model, at % disk.size, length)));
          await checkAllocated(disk, model);
        });
        for (const path of paths) rmSync(path);
      },
    ),
    { numRuns: 60, endOnFailure: true },
  );
});

async function checkRange(disk: VhdDisk, model: Buffer, offset: number, length: number): Promise<void> {
  const got = Buffer.alloc(Math.min(length, disk.size - offset), 0xee);
  await disk.read(offset, got);
  assertSameBytes(got, model.subarray(offset, offset + got.length), `at ${offset}`);
}

/** Sorted, disjoint, inside the disk, and nothing but zeros between what is yielded. */
async function checkAllocated(disk: VhdDisk, model: Buffer): Promise<void> {
  let reached = 0;
  for await (const extent of disk.allocated()) {
    assert.ok(extent.length > 0 && extent.offset >= reached, 'sorted and disjoint');
    assert.ok(isZero(model.subarray(reached, extent.offset)), `bytes before ${extent.offset} are not zero`);
    reached = endOf(extent);
  }
  assert.ok(reached <= disk.size && isZero(model.subarray(reached)), 'bytes behind the last extent');
}

async function counted(
  path: string,
): Promise<{ disk: VhdDisk; stats: { reads: number; readBytes: number } }> {
  const stats = { reads: 0, readBytes: 0 };
  const open = async (name: string): Promise<CountingReader> =>
    new CountingReader(await FileReader.open(name), stats);
  return { disk: await openVhdChain(path, { open }), stats };
}

test('a block costs one read and, the first time, its bitmap; a hole costs none', async () => {
  const path = newPath();
  const writer = await createPlacedVhd(path, { size: 64 * MiB, kind: 'dynamic' });
  await writer.place(0, 16 * MiB);
  await writer.finish();
  const { disk, stats } = await counted(path);
  const opened = stats.reads;
  await disk.read(17, new Uint8Array(2 * MiB - 17));
  assert.equal(stats.reads - opened, 2);
  await disk.read(MiB, new Uint8Array(MiB));
  assert.equal(stats.reads - opened, 3);
  await disk.read(32 * MiB, new Uint8Array(9 * MiB));
  assert.equal(stats.reads - opened, 3);
  await disk.close();
});

test('reads of one call are asked for in the order of the file, not of the disk', async () => {
  const path = newPath();
  const block = (index: number): BuiltBlock => ({ index, data: Buffer.alloc(64 * KiB, index + 1) });
  buildVhd(path, {
    size: 512 * KiB,
    kind: 'dynamic',
    uniqueId: newGuid(),
    blockSize: 64 * KiB,
    blocks: [5, 2, 7, 0].map(block),
  });
  const offsets: number[] = [];
  const open = async (name: string): Promise<Awaited<ReturnType<typeof openFile>>> => {
    const inner = await openFile(name);
    return {
      size: inner.size,
      close: () => inner.close(),
      read: (offset, into, options) => {
        if (into.length > 4096) offsets.push(offset);
        return inner.read(offset, into, options);
      },
    };
  };
  const disk = await openVhdChain(path, { open });
  await disk.read(0, Buffer.alloc(disk.size));
  assert.equal(offsets.length, 4);
  assert.deepEqual(
    offsets,
    offsets.toSorted((a, b) => a - b),
  );
  await disk.close();
});

test('allocated() of a base reads nothing, and of the largest disk with two far blocks the table only', async () => {
  const path = newPath();
  const writer = await createPlacedVhd(path, { size: 2040 * GiB, kind: 'dynamic' });
  await writer.place(1000 * GiB + 4096, 4096);
  await writer.place(2040 * GiB - 512, 512);
  await writer.finish();
  const before = process.memoryUsage().arrayBuffers;
  const { disk, stats } = await counted(path);
  assert.ok(process.memoryUsage().arrayBuffers - before < 32 * MiB);
  assert.ok(stats.readBytes < 4.1 * MiB, `${stats.readBytes} bytes to open`);
  const opened = stats.reads;
  assert.deepEqual(await Array.fromAsync(disk.allocated()), [
    { offset: 1000 * GiB, length: 2 * MiB },
    { offset: 2040 * GiB - 2 * MiB, length: 2 * MiB },
  ]);
  assert.deepEqual(await Array.fromAsync(disk.allocated({ offset: 1000 * GiB + 5, length: 10 })), [
    { offset: 1000 * GiB + 5, length: 10 },
  ]);
  assert.equal(stats.reads, opened);
  await disk.close();
});

test('allocated() of a child is told by sectors: one that was written over nothing is one sector', async () => {
  const [parent, child] = [newPath(), newPath()];
  const shape = { size: 4 * MiB, uniqueId: newGuid() };
  buildVhd(parent, { ...shape, kind: 'dynamic' });
  const blocks = [{ index: 1, data: Buffer.alloc(2 * MiB, 1), has: (sector: number) => sector === 77 }];
  const parentId = shape.uniqueId;
  const locators = beside(basename(parent));
  buildVhd(child, { ...shape, uniqueId: newGuid(), kind: 'differencing', parentId, locators, blocks });
  await withChain(child, async (disk) => {
    assert.deepEqual(await Array.fromAsync(disk.allocated()), [{ offset: 2 * MiB + 77 * 512, length: 512 }]);
  });
});

test('reads under way when the disk is closed end first', async () => {
  const { leaf, model } = buildChain(
    [
      {
        blockSize: 64 * KiB,
        size: MiB,
        gap: 0,
        spareEntries: 0,
        shuffle: 0,
        blocks: [{ at: 3, fill: 9, pattern: 'all' }],
      },
      {
        blockSize: 2 * MiB,
        size: MiB,
        gap: 0,
        spareEntries: 0,
        shuffle: 0,
        blocks: [{ at: 0, fill: 1, pattern: 'thirds' }],
      },
    ],
    false,
  );
  const disk = await openVhdChain(leaf, { open: openFile });
  const got = Buffer.alloc(disk.size);
  const reads = Array.from({ length: 16 }, (_, n) =>
    disk.read(n * 64 * KiB, got.subarray(n * 64 * KiB, (n + 1) * 64 * KiB)),
  );
  await Promise.all([...reads, disk.close()]);
  assertSameBytes(got, model, 'closed meanwhile');
});

test('reads beyond the end, after close and after an abort are refused; closing twice is not', async () => {
  const path = newPath();
  await createVhd(path, { size: 3 * MiB, kind: 'dynamic' });
  const disk = await openVhdChain(path, { open: openFile });
  for (const [offset, length] of [
    [3 * MiB, 1],
    [3 * MiB - 1, 2],
    [-1, 1],
  ] as const) {
    await assert.rejects(disk.read(offset, new Uint8Array(length)), (e) => hasCode(e, 'DISK_OUT_OF_RANGE'));
  }
  await disk.read(3 * MiB, new Uint8Array(0));
  const signal = AbortSignal.abort(new Error('stop'));
  await assert.rejects(disk.read(0, new Uint8Array(1), { signal }), /stop/);
  await assert.rejects(Array.fromAsync(disk.allocated(undefined, { signal })), /stop/);
  await disk.close();
  await disk.close();
  await assert.rejects(disk.read(0, new Uint8Array(1)), (e) => hasCode(e, 'DISK_CLOSED'));
  await assert.rejects(Array.fromAsync(disk.allocated()), (e) => hasCode(e, 'DISK_CLOSED'));
});
