import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KiB, MiB, TiB } from '../base/index.ts';
import { MemoryDisk, type CallOptions } from '../disk/index.ts';
import { compareContent } from './compare-disks.ts';

const SIZE = 3 * MiB;

/** A disk with bytes at places; a `0` is stored as well. */
async function diskOf(
  size: number,
  bytes: readonly (readonly [at: number, byte: number])[],
): Promise<MemoryDisk> {
  const disk = new MemoryDisk(size);
  for (const [at, byte] of bytes) await disk.write(at, Uint8Array.of(byte));
  return disk;
}

/** Zero beyond the end. */
async function byteAt(disk: MemoryDisk, at: number): Promise<number> {
  const byte = new Uint8Array(1);
  if (at < disk.size) await disk.read(at, byte);
  return byte[0]!;
}

/** Where the two differ, asked byte by byte of the places that were written to. */
async function differingPlaces(a: MemoryDisk, b: MemoryDisk, written: readonly number[]): Promise<number[]> {
  const places: number[] = [];
  for (const at of new Set(written)) if ((await byteAt(a, at)) !== (await byteAt(b, at))) places.push(at);
  return places.sort((x, y) => x - y);
}

const written = fc.array(
  fc.tuple(fc.oneof(fc.nat(SIZE - 1), fc.integer({ min: MiB - 3, max: MiB + 3 })), fc.nat(2)),
  { maxLength: 8 },
);
const sizes = fc.constantFrom(SIZE, SIZE - 512, 2 * MiB + 512);

test('two disks compare as their bytes do: first difference, bytes, sectors, whatever is stored and however long they are', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, written, sizes, written, async (size, x, otherSize, y) => {
      const inside = (limit: number, list: typeof x): typeof x => list.filter(([at]) => at < limit);
      const a = await diskOf(size, inside(size, x));
      const b = await diskOf(otherSize, inside(otherSize, y));
      const written = [...x, ...y].map(([at]) => at);
      const places = await differingPlaces(a, b, written);
      const first = places.length > 0 ? { firstDifference: places[0] } : {};
      const { comparedBytes, ...told } = await compareContent(a, b, { all: true });
      assert.deepEqual(told, {
        equal: places.length === 0,
        virtualBytes: [size, otherSize],
        ...first,
        differingBytes: places.length,
        differingSectors: new Set(places.map((at) => Math.floor(at / 512))).size,
      });
      assert.ok(comparedBytes <= SIZE);
      const { equal, firstDifference } = await compareContent(a, b, {});
      assert.deepEqual([equal, firstDifference], [places.length === 0, places[0]]);
    }),
    { numRuns: 60 },
  );
});

test('disks of two sizes differ only when that is asked for', async () => {
  const [a, b] = [await diskOf(SIZE, [[5, 1]]), await diskOf(2 * SIZE, [[5, 1]])];
  assert.equal((await compareContent(a, b, {})).equal, true);
  assert.deepEqual(await compareContent(a, b, { strict: true }), {
    equal: false,
    virtualBytes: [SIZE, 2 * SIZE],
    comparedBytes: 0,
  });
  const { equal, differingBytes } = await compareContent(b, a, { strict: true, all: true });
  assert.deepEqual([equal, differingBytes], [false, 0]);
});

test('what neither disk holds is not read, and the progress is that of the whole disk', async () => {
  const a = await diskOf(64 * TiB, [[TiB, 1]]);
  const b = await diskOf(64 * TiB, [[40 * TiB, 0]]);
  let reported = 0;
  const advance = (bytes: number): void => {
    reported += bytes;
  };
  const progress = { phase() {}, note() {}, advance };
  const { comparedBytes, firstDifference } = await compareContent(a, b, { all: true, progress });
  assert.deepEqual([comparedBytes, firstDifference, reported], [128 * KiB, TiB, 64 * TiB]);
});

test('an abort reaches the reads under way', async () => {
  const controller = new AbortController();
  class Waiting extends MemoryDisk {
    override read(_offset: number, _into: Uint8Array, options: CallOptions = {}): Promise<void> {
      const { promise, reject } = Promise.withResolvers<void>();
      options.signal?.addEventListener('abort', () => reject(new Error('stopped')));
      controller.abort();
      return promise;
    }
  }
  const waiting = new Waiting(SIZE);
  await waiting.write(5, Uint8Array.of(1));
  await assert.rejects(compareContent(waiting, waiting, { signal: controller.signal }), /stopped/);
});
