import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../base/index.ts';
import { AreaMap, AreaRuns, type AllocationBitmap } from './area-map.ts';

const SIZE = 400;
const UNIT = 4;
/** Bits of one page: small, so that ranges cross pages. */
const PAGE_UNITS = 16;

function bitmapOf(used: ReadonlySet<number>): AllocationBitmap {
  return {
    unitBytes: UNIT,
    async page(unit) {
      const firstUnit = Math.floor(unit / PAGE_UNITS) * PAGE_UNITS;
      const bits = new Uint8Array(PAGE_UNITS / 8);
      for (let i = 0; i < PAGE_UNITS; i += 1) if (used.has(firstUnit + i)) bits[i >>> 3]! |= 1 << (i & 7);
      return { firstUnit, units: PAGE_UNITS, bits };
    },
  };
}

test('every byte of a range is told the area a byte-by-byte model gives it, whatever runs overlap', async () => {
  const run = fc.record({
    offset: fc.nat(SIZE - 1),
    length: fc.integer({ min: 1, max: 60 }),
    area: fc.constantFrom('a', 'b', 'c'),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(run, { maxLength: 12 }),
      fc.uniqueArray(fc.nat(SIZE / UNIT), { maxLength: 60 }),
      fc.nat(SIZE - 1),
      fc.integer({ min: 1, max: SIZE }),
      async (found, used, offset, wanted) => {
        const length = Math.min(wanted, SIZE - offset);
        const runs = new AreaRuns('a test');
        for (const each of found) runs.add(each);
        const arranged = runs.arranged();
        const areaAt = (at: number): string =>
          arranged.find((each) => each.offset <= at && at < each.offset + each.length)?.area ??
          (used.includes(Math.floor(at / UNIT)) ? 'files' : 'free');
        const pieces = await Array.fromAsync(
          new AreaMap(arranged, bitmapOf(new Set(used))).pieces({ offset, length }),
        );
        let at = offset;
        for (const piece of pieces) {
          assert.equal(piece.offset, at);
          for (; at < piece.offset + piece.length; at += 1) assert.equal(piece.area, areaAt(at));
        }
        assert.equal(at, offset + length);
        const covered = new Set(
          found.flatMap((each) => Array.from({ length: each.length }, (_, i) => each.offset + i)),
        );
        assert.equal(
          arranged.reduce((sum, each) => sum + each.length, 0),
          covered.size,
        );
      },
    ),
  );
});

test('runs beyond what memory is for end in a fault, joined ones do not count', () => {
  const joined = new AreaRuns('a volume');
  for (let i = 0; i < 300_000; i += 1) joined.add({ offset: i, length: 1, area: 'tables' });
  assert.equal(joined.arranged().length, 1);
  assert.throws(
    () => {
      const apart = new AreaRuns('a volume');
      for (let i = 0; i < 300_000; i += 1) apart.add({ offset: 2 * i, length: 1, area: 'tables' });
    },
    (error) => hasCode(error, 'FILESYSTEM_TOO_LARGE'),
  );
});
