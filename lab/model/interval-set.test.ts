import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normalise, totalBytes } from '../../src/extents/index.ts';
import { IntervalSet } from './interval-set.ts';

const ranges = fc.array(fc.tuple(fc.nat(200), fc.nat(40)), { maxLength: 60 });

test('a set built range by range is the normalised union of the ranges', () => {
  fc.assert(
    fc.property(ranges, fc.nat(250), fc.nat(250), (added, from, to) => {
      const set = new IntervalSet();
      for (const [start, length] of added) set.add(start, start + length);
      const expected = normalise(added.map(([offset, length]) => ({ offset, length })));
      assert.deepEqual([...set.within(0, 1000)], expected);
      assert.equal(set.count, expected.length);
      const clipped = normalise(
        expected.map(({ offset, length }) => {
          const start = Math.max(from, offset);
          return { offset: start, length: Math.min(to, offset + length) - start };
        }),
      );
      assert.deepEqual([...set.within(from, to)], clipped);
      assert.deepEqual([...IntervalSet.fromJSON(set.toJSON()).within(0, 1000)], expected);
    }),
  );
});

test('a coarser set covers the finer one with no more ranges', () => {
  fc.assert(
    fc.property(ranges, fc.integer({ min: 1, max: 64 }), (added, grid) => {
      const set = new IntervalSet();
      for (const [start, length] of added) set.add(start, start + length);
      const coarse = set.coarsened(grid);
      const all = [...coarse.within(0, 1000)];
      assert.ok(coarse.count <= set.count);
      assert.ok(all.every(({ offset, length }) => offset % grid === 0 && length % grid === 0));
      const before = totalBytes(all);
      coarse.addAll(set);
      assert.equal(totalBytes([...coarse.within(0, 1000)]), before);
    }),
  );
});
