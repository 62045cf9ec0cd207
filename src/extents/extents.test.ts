import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { alignOut, clip, intersect, normalise, subtract, union, type Extent } from './extents.ts';
import { alignStream, coalesce, piecesOf, unionStream } from './stream.ts';

const SIZE = 200;
const anyExtents = fc.array(
  fc.record({ offset: fc.nat({ max: SIZE }), length: fc.nat({ max: 40 }) }, { noNullPrototype: true }),
  { maxLength: 12 },
);

/** The oracle: a set as an array of booleans, one a byte. */
function bits(extents: readonly Extent[], size = SIZE + 50): boolean[] {
  const set = Array.from({ length: size }, () => false);
  for (const e of extents) set.fill(true, e.offset, e.offset + e.length);
  return set;
}

function isSet(extents: readonly Extent[]): boolean {
  return extents.every(
    (e, i) => e.length > 0 && (i === 0 || extents[i - 1]!.offset + extents[i - 1]!.length < e.offset),
  );
}

test('every operation equals the same operation on bits, and returns a set', () => {
  fc.assert(
    fc.property(anyExtents, anyExtents, (x, y) => {
      const a = normalise(x);
      const b = normalise(y);
      const [A, B] = [bits(a), bits(b)];
      assert.ok(isSet(a));
      assert.deepEqual(A, bits(x));
      const results: [Extent[], boolean[]][] = [
        [union(a, b), A.map((v, i) => v || B[i]!)],
        [intersect(a, b), A.map((v, i) => v && B[i]!)],
        [subtract(a, b), A.map((v, i) => v && !B[i]!)],
        [clip(a, SIZE), A.map((v, i) => v && i < SIZE)],
      ];
      for (const [got, expected] of results) {
        assert.deepEqual(bits(got), expected);
        assert.ok(isSet(got));
      }
    }),
  );
});

test('alignOut covers what it was given, on the grid, inside the disk', () => {
  fc.assert(
    fc.property(anyExtents, fc.integer({ min: 1, max: 32 }), (x, grid) => {
      const set = normalise(x);
      const aligned = alignOut(set, grid, SIZE);
      assert.deepEqual(subtract(clip(set, SIZE), aligned), []);
      for (const e of aligned) {
        assert.equal(e.offset % grid, 0);
        assert.ok((e.offset + e.length) % grid === 0 || e.offset + e.length === SIZE);
      }
    }),
  );
});

test('streams agree with arrays: aligned, merged, and cut without crossing a piece', async () => {
  await fc.assert(
    fc.asyncProperty(anyExtents, fc.integer({ min: 1, max: 32 }), async (x, grid) => {
      const sorted = x.filter((e) => e.length > 0).sort((a, b) => a.offset - b.offset);
      assert.deepEqual(await Array.fromAsync(coalesce(sorted)), normalise(x));
      assert.deepEqual(
        await Array.fromAsync(alignStream(sorted, grid, SIZE)),
        alignOut(normalise(x), grid, SIZE),
      );
      const pieces = await Array.fromAsync(piecesOf(sorted, grid));
      assert.deepEqual(bits(pieces), bits(x));
      for (const p of pieces) {
        assert.equal(Math.floor(p.offset / grid), Math.floor((p.offset + p.length - 1) / grid));
      }
    }),
  );
});

test('the union of two streams is the union of what they hold, and both are let go of when the reader stops', async () => {
  await fc.assert(
    fc.asyncProperty(anyExtents, anyExtents, async (x, y) => {
      const union = await Array.fromAsync(unionStream(normalise(x), normalise(y)));
      assert.deepEqual(union, normalise([...x, ...y]));
    }),
  );
  let open = 2;
  async function* endless(step: number): AsyncGenerator<Extent> {
    try {
      for (let offset = 0; ; offset += step) yield { offset, length: 1 };
    } finally {
      open -= 1;
    }
  }
  for await (const { offset } of unionStream(endless(3), endless(5))) if (offset > 20) break;
  assert.equal(open, 0);
});

test('a stream that is out of order is refused', async () => {
  await assert.rejects(
    Array.fromAsync(
      coalesce([
        { offset: 10, length: 5 },
        { offset: 3, length: 2 },
      ]),
    ),
    { code: 'EXTENT_DISORDER' },
  );
});
