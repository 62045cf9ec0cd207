import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SegmentedLru } from './segmented-lru.ts';

function cacheOf(weightMax: number) {
  const gone: string[] = [];
  const cache = new SegmentedLru<string>(weightMax, (value) => gone.push(value));
  const use = (key: string, weight = 1): boolean => {
    const found = cache.get(key) !== undefined;
    if (!found) cache.set(key, key, weight);
    return found;
  };
  return { cache, gone, use };
}

test('what is read around in survives a scan of three times the cache', () => {
  const { cache, use } = cacheOf(64);
  for (let round = 0; round < 3; round += 1) for (let i = 0; i < 32; i += 1) use(`often ${i}`);
  for (let i = 0; i < 192; i += 1) for (let times = 0; times < 16; times += 1) use(`scanned ${i}`);
  const kept = Array.from({ length: 32 }, (_, i) => cache.get(`often ${i}`)).filter(Boolean);
  // The last eighth that came in before it was asked for again had proved nothing yet.
  assert.ok(kept.length >= 22, `${kept.length} of 32`);
});

test('a working set as large as the cache stays whole', () => {
  const { use, gone } = cacheOf(64);
  for (let i = 0; i < 64; i += 1) use(String(i));
  for (let round = 0; round < 4; round += 1)
    for (let i = 0; i < 64; i += 1) assert.ok(use(String(i)), `${i}`);
  assert.deepEqual(gone, []);
});

test('a working set that moves on is followed', () => {
  const { use } = cacheOf(64);
  for (let set = 0; set < 5; set += 1) {
    for (let round = 0; round < 16; round += 1) for (let i = 0; i < 40; i += 1) use(`${set} ${i}`);
    const found = Array.from({ length: 40 }, (_, i) => use(`${set} ${i}`)).filter(Boolean);
    assert.ok(found.length >= 36, `set ${set}: ${found.length} of 40`);
  }
});

test('never more than allowed, and all that went was told of once', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 30 }), fc.integer({ min: 1, max: 12 })), { maxLength: 300 }),
      (steps) => {
        const { cache, gone, use } = cacheOf(40);
        const weights = new Map<string, number>();
        let came = 0;
        for (const [key, weight] of steps) {
          const of = weights.get(String(key)) ?? weight;
          weights.set(String(key), of);
          if (!use(String(key), of)) came += 1;
          assert.ok(cache.weight <= 40);
        }
        const kept = [...weights].filter(([key]) => cache.get(key) !== undefined);
        assert.equal(
          kept.reduce((sum, [, weight]) => sum + weight, 0),
          cache.weight,
        );
        assert.equal(came, gone.length + kept.length);
        cache.clear();
        assert.deepEqual([cache.weight, gone.length], [0, came]);
      },
    ),
  );
});
