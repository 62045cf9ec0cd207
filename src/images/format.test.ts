import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertDocumented } from '../../test/offset-table.ts';
import { entryOffset, putEntry, qcow2Header } from './format.ts';
import { refcountLayout, refcountPieces } from './refcounts.ts';

test('docs/formats/qcow2.md and format.ts agree on every field of the header', () => {
  assertDocumented('docs/formats/qcow2.md', qcow2Header);
});

test('an entry holds any cluster offset a file can have, and says that the count is one', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), fc.nat(2 ** 13 - 1), (low, high) => {
      const offset = (high * 2 ** 31 + low) * 512;
      const view = new DataView(new ArrayBuffer(16));
      putEntry(view, 1, offset);
      assert.equal(view.getBigUint64(8), (2n ** 63n) | BigInt(offset));
      assert.equal(entryOffset(view, 1), offset);
      assert.equal(entryOffset(view, 0), 0);
    }),
  );
});

test('reference counts cover every cluster once, themselves included, and nothing behind', () => {
  const used = fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 3e6 }));
  fc.assert(
    fc.property(used, fc.constantFrom(512, 4096, 65_536), (usedClusters, clusterSize) => {
      const layout = refcountLayout(usedClusters, clusterSize);
      const pieces = [...refcountPieces(layout, usedClusters, clusterSize)].map((piece) => piece.length);
      const written = pieces.reduce((sum, length) => sum + length, 0);
      assert.equal(written, (layout.tableClusters + layout.blocks) * clusterSize);
      assert.equal(layout.totalClusters, usedClusters + layout.tableClusters + layout.blocks);
      assert.ok(layout.blocks * (clusterSize / 2) >= layout.totalClusters);
      assert.equal(countOnes(layout, usedClusters, clusterSize), layout.totalClusters);
    }),
    { numRuns: 40 },
  );
});

test('the counts of 64 TiB of data are never all in memory', () => {
  const usedClusters = 2 ** 30;
  const layout = refcountLayout(usedClusters, 65_536);
  let largest = 0;
  let written = 0;
  for (const piece of refcountPieces(layout, usedClusters, 65_536)) {
    largest = Math.max(largest, piece.length);
    written += piece.length;
  }
  assert.equal(written, (layout.tableClusters + layout.blocks) * 65_536);
  assert.ok(largest <= 2 ** 20);
});

/** Counts in the blocks that are one; every other must be zero. */
function countOnes(
  layout: ReturnType<typeof refcountLayout>,
  usedClusters: number,
  clusterSize: number,
): number {
  let skip = layout.tableClusters;
  let ones = 0;
  for (const piece of refcountPieces(layout, usedClusters, clusterSize)) {
    skip -= 1;
    if (skip >= 0) continue;
    for (let at = 0; at < piece.length; at += 2) {
      assert.ok(piece[at] === 0 && piece[at + 1]! <= 1);
      ones += piece[at + 1]!;
    }
  }
  return ones;
}
