import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, KiB, MiB, NIL_GUID, TiB } from '../base/index.ts';
import { BatGeometry, fileOffsetAt, setEntry, stateAt } from './bat.ts';
import { FileSpace } from './file-space.ts';
import { PAGE_SIZE, newPage } from './pages.ts';
import { bitAt, runEnd, setBits } from './sector-bitmap.ts';

const geometry = (
  kind: 'dynamic' | 'differencing',
  size: number,
  blockSize: number,
  logicalSectorSize = 512,
): BatGeometry =>
  new BatGeometry({
    kind,
    size,
    blockSize,
    logicalSectorSize,
    physicalSectorSize: 4096,
    virtualDiskId: NIL_GUID,
  });

test('chunk ratios and entry counts are those of the specification', () => {
  assert.equal(geometry('dynamic', GiB, 2 * MiB).chunkRatio, 2048);
  assert.equal(geometry('dynamic', GiB, 32 * MiB).chunkRatio, 128);
  assert.equal(geometry('dynamic', GiB, MiB).chunkRatio, 4096);
  assert.equal(geometry('dynamic', GiB, 32 * MiB, 4096).chunkRatio, 1024);
  assert.equal(geometry('dynamic', 4 * GiB, 32 * MiB).entries, 128);
  assert.equal(geometry('dynamic', 4 * GiB + 512, 32 * MiB).entries, 130);
  assert.equal(geometry('differencing', 512, 32 * MiB).entries, 129);
  assert.equal(geometry('differencing', 4 * GiB + 512, 32 * MiB).entries, 258);
  assert.equal(geometry('dynamic', 64 * TiB, MiB).entries, 2 ** 26 + 2 ** 14 - 1);
});

test('every entry is one block’s, one bitmap’s or beyond the disk, and block and entry lead to each other', () => {
  const anyGeometry = fc
    .record({
      kind: fc.constantFrom('dynamic' as const, 'differencing' as const),
      sectors: fc.integer({ min: 1, max: (40 * GiB) / 4096 }),
      blockSize: fc.constantFrom(8 * MiB, 32 * MiB, 256 * MiB),
      sector: fc.constantFrom(512, 4096),
    })
    .map(({ kind, sectors, blockSize, sector }) => geometry(kind, sectors * sector, blockSize, sector));
  fc.assert(
    fc.property(anyGeometry, (bat) => {
      const blocks: number[] = [];
      for (let entry = 0; entry < bat.entries; entry += 1) {
        const block = bat.payloadBlock(entry);
        if (block === undefined) continue;
        blocks.push(block);
        assert.equal(bat.payloadEntry(block), entry);
        assert.ok(bat.isBitmapEntry(bat.bitmapEntry(block)) && bat.bitmapEntry(block) > entry);
        const firstBit = bat.bitmapOffset(block) % PAGE_SIZE;
        assert.ok(firstBit + bat.sectorsPerBlock / 8 <= PAGE_SIZE, 'the bits of a block lie in one page');
      }
      assert.deepEqual(
        blocks,
        Array.from({ length: bat.payloadBlocks }, (_, n) => n),
      );
    }),
    { numRuns: 30 },
  );
});

test('an entry holds any state and any offset up to 256 TiB, without touching its neighbours', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 2 ** 28 - 1 }),
      fc.nat({ max: 7 }),
      fc.nat({ max: 8191 }),
      (offsetMiB, state, at) => {
        const page = newPage();
        setEntry(page, at, state, offsetMiB * MiB);
        assert.deepEqual([stateAt(page, at), fileOffsetAt(page, at)], [state, offsetMiB * MiB]);
        page.words.fill(0, 2 * at, 2 * at + 2);
        assert.ok(page.bytes.every((byte) => byte === 0));
      },
    ),
    { numRuns: 30 },
  );
});

test('bitmap runs equal those of an array of booleans, least significant bit first', () => {
  const anyRanges = fc.array(fc.tuple(fc.nat({ max: 255 }), fc.nat({ max: 120 })), { maxLength: 6 });
  fc.assert(
    fc.property(anyRanges, fc.nat({ max: 255 }), fc.integer({ min: 1, max: 256 }), (ranges, from, length) => {
      const bytes = new Uint8Array(32);
      const bits = Array.from({ length: 256 }, () => false);
      for (const [start, count] of ranges) {
        setBits(bytes, start, Math.min(256, start + count));
        bits.fill(true, start, start + count);
      }
      assert.deepEqual(
        Array.from({ length: 256 }, (_, i) => bitAt(bytes, i) === 1),
        bits.slice(0, 256),
      );
      const to = Math.min(256, from + length);
      const end = bits.findIndex((bit, i) => i >= from && i < to && bit !== bits[from]);
      assert.equal(runEnd(bytes, from, to), end < 0 ? to : end);
    }),
  );
  const one = new Uint8Array(1);
  setBits(one, 0, 1);
  assert.equal(one[0], 1);
});

test('file space: claims never overlap, gaps are what no claim took, also far beyond the first segment', () => {
  const far = 64 * GiB - 3 * MiB;
  const anyClaims = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9 })), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(anyClaims, fc.constantFrom(0, far), fc.integer({ min: 1, max: 4 }), (claims, base, units) => {
      const space = new FileSpace();
      const taken = new Set<number>();
      for (const [at, count] of claims) {
        const wanted = Array.from({ length: count }, (_, i) => at + i);
        const free = wanted.every((unit) => !taken.has(unit));
        assert.equal(space.claim(base + at * MiB, count * MiB - 4 * KiB), free);
        if (free) wanted.forEach((unit) => taken.add(unit));
      }
      space.claim(MiB, base);
      const gaps = [...space.gaps(units * MiB, base + 60 * MiB)].map((gap) => (gap - base) / MiB);
      assert.deepEqual(gaps, greedyGaps(taken, units, 60));
    }),
    { numRuns: 50 },
  );
});

/** The model: unit by unit from 1 on. */
function greedyGaps(taken: ReadonlySet<number>, units: number, end: number): number[] {
  const gaps: number[] = [];
  for (let at = 1; at + units <= end;) {
    const stretch = Array.from({ length: units }, (_, i) => at + i);
    const free = stretch.every((unit) => !taken.has(unit));
    if (free) gaps.push(at);
    at += free ? units : 1;
  }
  return gaps;
}
