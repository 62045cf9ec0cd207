import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mapCapped } from './map-capped.ts';

const item = fc.record({ item: fc.nat(1000), uses: fc.uniqueArray(fc.constantFrom('a', 'b', 'c')) });

test('no cap is ever exceeded, and every item has its result', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(item, { maxLength: 40 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 3 }),
      fc.scheduler(),
      async (items, atOnce, places, scheduler) => {
        const now = new Map<string, number>();
        const count = (use: string, by: number, most: number): void => {
          const value = (now.get(use) ?? 0) + by;
          now.set(use, value);
          assert.ok(value <= most, `${value} of ${use} at once`);
        };
        const work = async (index: number): Promise<number> => {
          const uses = [...items[index]!.uses];
          count('all', 1, atOnce);
          for (const use of uses) count(use, 1, places);
          await scheduler.schedule(Promise.resolve());
          count('all', -1, atOnce);
          for (const use of uses) count(use, -1, places);
          return index;
        };
        const numbered = items.map(({ uses }, index) => ({ item: index, uses }));
        const results = Array.fromAsync(mapCapped(numbered, { atOnce, placesOf: () => places }, work));
        const found = (await scheduler.waitFor(results)).toSorted((a, b) => a - b);
        assert.deepEqual(found, [...items.keys()]);
      },
    ),
    { numRuns: 200 },
  );
});

test('an item that waits for its place does not hold up those behind it', async () => {
  const begun: string[] = [];
  const slow = Promise.withResolvers<void>();
  const items = [
    { item: 'a1', uses: ['a'] },
    { item: 'a2', uses: ['a'] },
    { item: 'b1', uses: ['b'] },
  ];
  const results = mapCapped(items, { atOnce: 2, placesOf: () => 1 }, async (name) => {
    begun.push(name);
    if (name === 'a1') await slow.promise;
    return name;
  });
  assert.equal((await results.next()).value, 'b1');
  assert.deepEqual(begun, ['a1', 'b1']);
  slow.resolve();
  assert.deepEqual(await Array.fromAsync(results), ['a1', 'a2']);
});

test('a failure begins nothing more, and is thrown after the results of what was under way', async () => {
  const begun: number[] = [];
  const other = Promise.withResolvers<void>();
  const items = [1, 2, 3, 4].map((number) => ({ item: number, uses: [] }));
  const results = mapCapped(items, { atOnce: 2, placesOf: () => 9 }, async (number) => {
    begun.push(number);
    if (number === 1) throw new Error('first');
    await other.promise;
    return number;
  });
  setImmediate(other.resolve);
  assert.equal((await results.next()).value, 2);
  await assert.rejects(results.next(), /first/);
  assert.deepEqual(begun, [1, 2]);
});

test('whoever takes no more results waits for what is under way, and nothing more begins', async () => {
  const ended: number[] = [];
  const items = [1, 2, 3].map((number) => ({ item: number, uses: [] }));
  for await (const _ of mapCapped(items, { atOnce: 2, placesOf: () => 9 }, async (number) => {
    if (number === 2) await new Promise(setImmediate);
    ended.push(number);
  }))
    break;
  assert.ok(ended.includes(2));
});
