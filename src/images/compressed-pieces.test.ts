/** The pieces of a disk that go through the threads that compress. */
import assert from 'node:assert/strict';
import { inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { test } from 'node:test';
import { KiB, MiB } from '../base/index.ts';
import { CountingDisk, FileReader, MemoryDisk, RawDisk, type Disk } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import type { Codec } from './codec.ts';
import { compressedPieces } from './compressed-pieces.ts';
import { Scratch, diskOf, rawFile } from './judges.fixture.ts';

const CODECS: readonly [Codec, (bytes: Uint8Array) => Buffer][] = [
  [{ name: 'zlib', level: 3 }, inflateSync],
  [{ name: 'deflate', level: 3 }, (bytes) => inflateRawSync(bytes, { windowBits: 12 })],
  [{ name: 'zstd', level: 3 }, zstdDecompressSync],
];
const UNIT = 64 * KiB;

for (const [codec, decompress] of CODECS) {
  test(`${codec.name}: units come back in order, each by itself, with zeros left out`, async () => {
    const disk = await diskOf(9 * MiB + 700, [
      { offset: 100, length: 2 * MiB, kind: 'text' },
      { offset: 5 * MiB, length: 300 * KiB, kind: 'noise' },
      { offset: 9 * MiB, length: 700, kind: 'text' },
    ]);
    const found = Buffer.alloc(Math.ceil(disk.size / UNIT) * UNIT);
    const shape = { unit: UNIT, lastUnitMultiple: UNIT, codec, keepIncompressible: true };
    for await (const { firstUnit, lengths, bytes } of compressedPieces(disk, shape, { workers: 2 })) {
      let from = 0;
      for (const [i, length] of lengths.entries()) {
        const unit = bytes.subarray(from, from + length);
        from += length;
        if (length > 0) found.set(length === UNIT ? unit : decompress(unit), (firstUnit + i) * UNIT);
      }
    }
    const expected = Buffer.alloc(found.length);
    await disk.read(0, expected.subarray(0, disk.size));
    assert.ok(found.equals(expected));
  });
}

test('a slow reader of the pieces holds reads back: memory does not follow the size of the disk', async () => {
  let reads = 0;
  const disk: Disk = {
    size: 1024 * MiB,
    logicalSectorSize: 512,
    allocated: () => [{ offset: 0, length: 1024 * MiB }],
    read: async (offset, into) => {
      reads += 1;
      into.fill(1 + (offset % 7));
    },
    close: async () => {},
  };
  const shape = {
    unit: UNIT,
    lastUnitMultiple: 512,
    codec: CODECS[2]![0],
    keepIncompressible: false,
  } as const;
  let pieces = 0;
  for await (const { lengths } of compressedPieces(disk, shape, { workers: 2 })) {
    assert.equal(lengths.length, 16);
    pieces += 1;
    assert.ok(reads <= pieces + 5, `${reads} reads for ${pieces} pieces`);
    if (pieces === 40) break;
  }
});

test('progress adds up to the size of the disk, holes included', async () => {
  const disk = await diskOf(20 * MiB + 512, [{ offset: 7 * MiB, length: 10, kind: 'text' }]);
  let total = 0;
  const progress = { phase() {}, note() {}, advance: (bytes: number) => void (total += bytes) };
  const shape = { unit: UNIT, lastUnitMultiple: 512, codec: CODECS[0]![0], keepIncompressible: false };
  for await (const _ of compressedPieces(disk, shape, { workers: 0, progress }));
  assert.equal(total, disk.size);
  for await (const _ of compressedPieces(new MemoryDisk(5), shape, { workers: 0, progress }));
  assert.equal(total, disk.size + 5);
});

test('threads read a local source themselves, in jobs that gather what is scattered', async () => {
  using scratch = new Scratch();
  const strokes = Array.from(
    { length: 40 },
    (_, i) => ({ offset: i * 3 * UNIT + 10, length: 100, kind: 'text' }) as const,
  );
  const disk = await diskOf(9 * MiB + 700, [...strokes, { offset: 9 * MiB, length: 700, kind: 'noise' }]);
  const file = new RawDisk(await FileReader.open(await rawFile(disk, scratch.path('.raw'))));
  const counted = new CountingDisk(file);
  const source: Disk = Object.assign(counted, {
    allocated: () => disk.allocated(),
    located: (within: Extent) => file.located(within),
  });
  const shape = { unit: UNIT, lastUnitMultiple: UNIT, codec: CODECS[2]![0], keepIncompressible: false };
  const found = new Map<number, Buffer>();
  for await (const { firstUnit, lengths, bytes } of compressedPieces(source, shape, { workers: 1 })) {
    assert.equal(lengths.length, 1);
    found.set(firstUnit, zstdDecompressSync(bytes.subarray(0, lengths[0])));
  }
  assert.deepEqual([found.size, counted.stats.reads], [41, 0]);
  const expected = Buffer.alloc(UNIT);
  for (const [unit, bytes] of found) {
    expected.fill(0);
    await disk.read(unit * UNIT, expected.subarray(0, Math.min(UNIT, disk.size - unit * UNIT)));
    assert.ok(bytes.equals(expected), `unit ${unit}`);
  }
  await file.close();
});
