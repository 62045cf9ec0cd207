import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, KiB, MiB, TiB, hasCode } from '../base/index.ts';
import { CountingReader, FileReader, MemoryDisk, type RangeWriter, type ReadStats } from '../disk/index.ts';
import { endOf, totalBytes, type Extent } from '../extents/index.ts';
import { openVhdxChain } from './chain.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import type { VhdxDisk } from './disk.ts';
import { mergeVhdx } from './merge.ts';
import { assertSameBytes, openFile, scratchFolder, withChain } from './scratch.fixture.ts';
import { openVhdxWritable, type VhdxFile } from './vhdx-file.ts';

const folder = scratchFolder();
let names = 0;
const newPath = (): string => join(folder, `${(names += 1)}.vhdx`);

/** Chunks are 4 GiB or 32 GiB: the places where blocks, chunks and the disk end are all within these windows. */
const WINDOW = 3 * MiB;
const shapes = [
  { size: 9 * GiB + 3 * MiB + 512, logicalSectorSize: 512, chunk: 4 * GiB },
  { size: 40 * GiB + 5 * MiB + 4 * KiB, logicalSectorSize: 4096, chunk: 32 * GiB },
  { size: 3 * MiB, logicalSectorSize: 512, chunk: 0 },
];

interface RangeStep {
  readonly kind: 'write' | 'zero';
  readonly window: number;
  readonly at: number;
  readonly length: number;
  readonly fill: number;
}
type Step =
  | RangeStep
  | { readonly kind: 'child' | 'merge'; readonly blockSize: number }
  | { readonly kind: 'zeroAll' | 'reopen' };

const range = {
  window: fc.nat({ max: 2 }),
  at: fc.oneof(fc.nat({ max: WINDOW }), fc.constantFrom(0, MiB, 2 * MiB)),
  length: fc.oneof(fc.integer({ min: 1, max: MiB }), fc.constantFrom(512, 4096, MiB, 2 * MiB, WINDOW)),
  fill: fc.nat({ max: 255 }),
};
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('write' as const), ...range }), weight: 5 },
  { arbitrary: fc.record({ kind: fc.constant('zero' as const), ...range }), weight: 3 },
  {
    arbitrary: fc.record({
      kind: fc.constantFrom('child' as const, 'merge' as const),
      blockSize: fc.constantFrom(MiB, 2 * MiB, 32 * MiB),
    }),
    weight: 3,
  },
  { arbitrary: fc.record({ kind: fc.constantFrom('zeroAll' as const, 'reopen' as const) }), weight: 1 },
);

/** A chain and, beside it, the disk it must equal. */
class Pair {
  readonly model: MemoryDisk;
  readonly chain: { path: string; frozen?: MemoryDisk }[] = [];
  readonly #shape: (typeof shapes)[number];
  #writer: VhdxFile | undefined;

  constructor(shape: (typeof shapes)[number]) {
    this.#shape = shape;
    this.model = new MemoryDisk(shape.size, { logicalSectorSize: shape.logicalSectorSize });
  }

  async create(kind: 'dynamic' | 'fixed', blockSize: number): Promise<void> {
    const path = newPath();
    const { size, logicalSectorSize } = this.#shape;
    await createVhdx(path, { size, kind, blockSize, logicalSectorSize });
    this.chain.push({ path });
  }

  get leaf(): string {
    return this.chain.at(-1)!.path;
  }

  get windows(): Extent[] {
    const { size, chunk } = this.#shape;
    const starts = [0, Math.max(0, chunk - MiB), Math.max(0, size - WINDOW)];
    return starts.map((offset) => ({ offset, length: Math.min(WINDOW, size - offset) }));
  }

  async apply(step: Step): Promise<void> {
    if ('blockSize' in step) await (step.kind === 'child' ? this.#addChild(step.blockSize) : this.#merge());
    else if (step.kind === 'reopen') await this.sealed();
    else for (const disk of [await this.#writable(), this.model]) await this.#change(disk, step);
  }

  async #writable(): Promise<VhdxFile> {
    return (this.#writer ??= await openVhdxWritable(this.leaf));
  }

  async #change(disk: RangeWriter, step: Step): Promise<void> {
    if (!('window' in step)) return disk.zero(0, disk.size);
    const { offset, length } = this.#aligned(step);
    await (step.kind === 'zero'
      ? disk.zero(offset, length)
      : disk.write(offset, new Uint8Array(length).fill(step.fill)));
  }

  #aligned(step: RangeStep): Extent {
    const { logicalSectorSize: sector, size } = this.#shape;
    const window = this.windows[step.window]!;
    const at = Math.min(Math.floor(step.at / sector) * sector, window.length - sector);
    const offset = Math.floor((window.offset + at) / sector) * sector;
    return {
      offset,
      length: Math.min(Math.ceil(step.length / sector) * sector, endOf(window) - offset, size),
    };
  }

  async #addChild(blockSize: number): Promise<void> {
    await this.sealed();
    const path = newPath();
    await createDifferencingVhdx(path, { parentPath: this.leaf, blockSize });
    this.chain.at(-1)!.frozen = this.model.snapshot();
    this.chain.push({ path });
  }

  async #merge(): Promise<void> {
    await this.sealed();
    if (this.chain.length < 2) return;
    const child = this.chain.pop()!.path;
    await mergeVhdx({ child, parent: this.leaf });
    await rm(child);
    delete this.chain.at(-1)!.frozen;
  }

  /** Everything is in the files. */
  async sealed(): Promise<void> {
    await this.#writer?.close();
    this.#writer = undefined;
  }

  async flushed(): Promise<void> {
    await this.#writer?.flush();
  }

  async check(path: string, model: MemoryDisk): Promise<void> {
    await withChain(path, async (disk) => {
      for (const window of this.windows) {
        const got = Buffer.alloc(window.length, 0xee);
        const expected = Buffer.alloc(window.length);
        await Promise.all([disk.read(window.offset, got), model.read(window.offset, expected)]);
        assertSameBytes(got, expected, `${path} at ${window.offset}`);
      }
      await checkAllocated(disk, model);
    });
  }

  async remove(): Promise<void> {
    await this.sealed();
    for (const { path } of this.chain) await rm(path);
  }
}

/** Sorted, disjoint, inside the disk, and nothing but zeros between what is yielded. */
async function checkAllocated(disk: VhdxDisk, model: MemoryDisk): Promise<void> {
  const allocated = await Array.fromAsync(disk.allocated());
  let reached = -1;
  for (const extent of allocated) {
    assert.ok(extent.offset > reached && extent.length > 0, 'sorted and coalesced');
    reached = endOf(extent);
  }
  assert.ok(reached <= disk.size);
  for (const page of model.allocated()) {
    const bytes = new Uint8Array(page.length);
    await model.read(page.offset, bytes);
    for (let at = 0; at < bytes.length; at += 512) {
      if (bytes[at] === 0) continue;
      const inside = allocated.some((e) => e.offset <= page.offset + at && page.offset + at < endOf(e));
      assert.ok(inside, `byte ${page.offset + at} is not zero and not in allocated()`);
    }
  }
}

test('a chain equals the model after any writes, zeros, new children and merges; frozen files stay as they were', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...shapes),
      fc.constantFrom(MiB, 2 * MiB, 32 * MiB),
      fc.constantFrom('dynamic' as const, 'dynamic' as const, 'fixed' as const),
      fc.array(anyStep, { minLength: 4, maxLength: 14 }),
      async (shape, blockSize, kind, steps) => {
        const pair = new Pair(shape);
        // A fixed disk zeroed as a whole writes every byte, so only the small one is fixed.
        await pair.create(shape.chunk === 0 ? kind : 'dynamic', blockSize);
        for (const step of steps) {
          await pair.apply(step);
          await pair.flushed();
          await pair.check(pair.leaf, pair.model);
        }
        for (const { path, frozen } of pair.chain) if (frozen) await pair.check(path, frozen);
        await pair.remove();
      },
    ),
    { numRuns: 25, endOnFailure: true },
  );
});

test('any unaligned range of a fragmented chain reads as the model says, also at once', async () => {
  const [base, child, model] = await fragmented();
  await withChain(child, async (disk) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: 4 * MiB - 1 }), fc.integer({ min: 0, max: 100_000 })), {
          maxLength: 8,
        }),
        async (ranges) => {
          await Promise.all(
            ranges.map(async ([offset, length]) => {
              const got = Buffer.alloc(Math.min(length, disk.size - offset), 0xee);
              await disk.read(offset, got);
              assertSameBytes(got, model.subarray(offset, offset + got.length), `at ${offset}`);
            }),
          );
        },
      ),
      { numRuns: 60 },
    );
  });
  await rm(base);
});

/** A base of 1 MiB blocks and a child of 2 MiB blocks with every third sector of its own. */
async function fragmented(): Promise<[string, string, Buffer]> {
  const base = newPath();
  const child = newPath();
  const model = Buffer.alloc(4 * MiB, 1);
  await createVhdx(base, { size: model.length, kind: 'dynamic', blockSize: MiB });
  const below = await openVhdxWritable(base);
  await below.write(0, model);
  await below.close();
  await createDifferencingVhdx(child, { parentPath: base });
  const above = await openVhdxWritable(child);
  for (let at = 0; at < model.length; at += 3 * 512) {
    const sector = model.subarray(at, at + 512).fill((at / 512) & 0xff);
    await above.write(at, sector);
  }
  await above.close();
  return [base, child, model];
}

test('a range that is contiguous in one file costs one read, whatever the blocks', async () => {
  const path = newPath();
  await createVhdx(path, { size: 64 * MiB, kind: 'dynamic', blockSize: MiB });
  const file = await openVhdxWritable(path);
  await file.write(0, new Uint8Array(16 * MiB).fill(1));
  await file.close();
  const stats = { reads: 0, readBytes: 0 };
  const disk = await openVhdxChain(path, {
    open: async (name) => new CountingReader(await FileReader.open(name), stats),
  });
  const before = stats.reads;
  await disk.read(3 * MiB + 17, new Uint8Array(9 * MiB));
  assert.equal(stats.reads - before, 1);
  await disk.read(16 * MiB, new Uint8Array(9 * MiB));
  assert.equal(stats.reads - before, 1, 'a hole costs none');
  await disk.close();
});

test('allocated() of an empty 64 TiB disk and of one with three far blocks reads no data and few table pages', async () => {
  const path = newPath();
  await createVhdx(path, { size: 64 * TiB, kind: 'dynamic', blockSize: 32 * MiB });
  const file = await openVhdxWritable(path);
  for (const offset of [0, 40 * TiB, 64 * TiB - 512]) await file.write(offset, new Uint8Array(512).fill(9));
  await file.close();
  const stats = { reads: 0, readBytes: 0 };
  const disk = await openVhdxChain(path, {
    open: async (name) => new CountingReader(await FileReader.open(name), stats),
  });
  assert.ok(stats.readBytes < 18 * MiB, 'opening reads the table of 16 MiB once');
  const opened = stats.reads;
  const allocated = await Array.fromAsync(disk.allocated());
  assert.equal(stats.reads, opened, 'what the open kept is enough');
  assert.deepEqual(
    allocated.map((e) => e.offset),
    [0, 40 * TiB, 64 * TiB - 32 * MiB],
  );
  assert.equal(totalBytes(allocated), 96 * MiB);
  assert.deepEqual(await Array.fromAsync(disk.allocated({ offset: 40 * TiB + 5, length: 10 })), [
    { offset: 40 * TiB + 5, length: 10 },
  ]);
  await disk.close();
});

/** Counts reads of a sparse file that says where it holds bytes. */
class CountingSparse extends CountingReader {
  readonly #file: FileReader;

  constructor(file: FileReader, stats: ReadStats) {
    super(file, stats);
    this.#file = file;
  }

  nextData(from: number): Extent | undefined {
    return this.#file.nextData(from);
  }
}

test('of a large table only what the sparse file holds is read; one that is cut off is refused all the same', async () => {
  const path = newPath();
  await createVhdx(path, { size: 64 * TiB, kind: 'dynamic', blockSize: 2 * MiB });
  const file = await openVhdxWritable(path);
  for (const offset of [0, 40 * TiB, 64 * TiB - 512]) await file.write(offset, new Uint8Array(512).fill(9));
  await file.close();
  const stats = { reads: 0, readBytes: 0 };
  const disk = await openVhdxChain(path, {
    open: async (name) => new CountingSparse(await FileReader.open(name), stats),
  });
  assert.ok(
    stats.readBytes < 8 * MiB,
    `${stats.readBytes} bytes of a table of 256 MiB and of what is before it`,
  );
  const allocated = await Array.fromAsync(disk.allocated());
  assert.deepEqual(
    allocated.map((e) => e.offset),
    [0, 40 * TiB, 64 * TiB - 2 * MiB],
  );
  await disk.close();
  truncateSync(path, 64 * MiB);
  await assert.rejects(openVhdxChain(path, { open: openFile }), (error) => hasCode(error, 'VHDX_TRUNCATED'));
});

test('a 64 TiB child of 2 MiB blocks keeps a bounded part of its 256 MiB table', async () => {
  const base = newPath();
  const child = newPath();
  await createVhdx(base, { size: 64 * TiB, kind: 'dynamic' });
  await createDifferencingVhdx(child, { parentPath: base });
  const file = await openVhdxWritable(child);
  await file.write(63 * TiB, new Uint8Array(512).fill(1));
  await file.close();
  const before = process.memoryUsage().arrayBuffers;
  await withChain(child, async (disk) => {
    assert.deepEqual(await Array.fromAsync(disk.allocated()), [{ offset: 63 * TiB, length: 512 }]);
    assert.ok(process.memoryUsage().arrayBuffers - before < 64 * MiB);
  });
});

test('reads under way when the disk is closed end first', async () => {
  const [, child, model] = await fragmented();
  const disk = await openVhdxChain(child, { open: openFile });
  const got = Buffer.alloc(disk.size);
  const reads = Array.from({ length: 16 }, (_, n) =>
    disk.read(n * 256 * KiB, got.subarray(n * 256 * KiB, (n + 1) * 256 * KiB)),
  );
  await Promise.all([...reads, disk.close()]);
  assertSameBytes(got, model, 'closed meanwhile');
});

test('reads beyond the end, after close and after an abort are refused; closing twice is not', async () => {
  const path = newPath();
  await createVhdx(path, { size: 3 * MiB, kind: 'dynamic' });
  const disk = await openVhdxChain(path, { open: openFile });
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
