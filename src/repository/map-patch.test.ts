import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MiB, TiB } from '../base/index.ts';
import { BlockMap } from './block-map.ts';
import { LEAF_SLOTS } from './format.ts';
import { MapPatch, type SlotUpdate } from './map-patch.ts';
import { emptyRoot, levelsFor, slotCount, type MapRoot } from './map-root.ts';
import type { ObjectReader } from './object-reader.ts';
import type { SlotEntry } from './slot.ts';
import { createHash } from 'node:crypto';

/** Pages in memory, named by their content; counts what is read and written. */
class Pages {
  readonly stored = new Map<string, Buffer>();
  reads = 0;
  writes = 0;
  readonly map = new BlockMap(this as unknown as ObjectReader);

  async read(_kind: string, id: string): Promise<Buffer> {
    this.reads += 1;
    return this.stored.get(id)!;
  }

  async patch(base: MapRoot, sizeBytes: number, updates: readonly SlotUpdate[]): Promise<MapRoot> {
    const sink = async (_kind: string, raw: Uint8Array): Promise<string> => {
      this.writes += 1;
      const id = createHash('sha256').update(raw).digest('hex');
      this.stored.set(id, Buffer.from(raw));
      return id;
    };
    const patch = await MapPatch.start(this.map, sink, sizeBytes, base);
    for (const update of updates) await patch.update(update);
    return patch.finish();
  }
}

const chunk = (name: number): SlotEntry => ({ kind: 'chunk', id: name.toString(16).padStart(64, '0') });
const anySize = fc
  .oneof(fc.constantFrom(1, 255, 256, 257, 65_536, 65_537, 66_000), fc.integer({ min: 1, max: 300_000 }))
  .map((slots) => slots * MiB);
const anyGeneration = fc.record(
  {
    size: anySize,
    changes: fc.array(fc.tuple(fc.nat({ max: 299_999 }), fc.nat({ max: 5 })), { maxLength: 25 }),
  },
  { noNullPrototype: true },
);

test('any generations of updates and sizes equal a plain map of slots, and one canonical root', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyGeneration, { minLength: 1, maxLength: 6 }), async (generations) => {
      const pages = new Pages();
      const model = new Map<number, SlotEntry>();
      let root: MapRoot = emptyRoot(generations[0]!.size);
      for (const { size, changes } of generations) {
        const slots = slotCount(size);
        for (const slot of model.keys()) if (slot >= slots) model.delete(slot);
        const updates = new Map(
          changes.map(([slot, name]) => [slot % slots, name === 0 ? null : chunk(name)]),
        );
        const sorted = [...updates].sort(([a], [b]) => a - b).map(([slot, entry]) => ({ slot, entry }));
        root = await pages.patch(root, size, sorted);
        for (const { slot, entry } of sorted)
          if (entry) model.set(slot, entry);
          else model.delete(slot);
        const expected = [...model].sort(([a], [b]) => a - b).map(([slot, entry]) => ({ slot, entry }));
        assert.deepEqual(await Array.fromAsync(pages.map.walk(root, 0, slots)), expected);
        assert.deepEqual(
          root,
          await pages.patch(emptyRoot(size), size, expected as SlotUpdate[]),
          'same content, same root',
        );
        for (const { slot } of sorted) {
          assert.deepEqual(await pages.map.entry(root, slot), model.get(slot) ?? null);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('a walk of a part yields that part', async () => {
  const pages = new Pages();
  const updates = Array.from({ length: 40 }, (_, i) => ({ slot: i * 97, entry: chunk(i + 1) }));
  const root = await pages.patch(emptyRoot(8000 * MiB), 8000 * MiB, updates);
  for (const [from, to] of [
    [0, 1],
    [97, 98],
    [98, 194],
    [200, 3000],
    [3783, 8000],
  ] as const) {
    const expected = updates.filter(({ slot }) => slot >= from && slot < to);
    assert.deepEqual(await Array.fromAsync(pages.map.walk(root, from, to)), expected);
  }
});

test('an unchanged map keeps its root and writes nothing; a changed slot rewrites one page a level', async () => {
  const pages = new Pages();
  const size = 64 * TiB;
  const updates = Array.from({ length: 300 }, (_, i) => ({ slot: i * 200_000, entry: chunk(i + 1) }));
  const root = await pages.patch(emptyRoot(size), size, updates);
  assert.equal(root.levels, 4);
  pages.writes = 0;
  assert.deepEqual(await pages.patch(root, size, []), root);
  assert.equal(pages.writes, 0);
  await pages.patch(root, size, [{ slot: 200_000 * 7 + 1, entry: chunk(77) }]);
  assert.equal(pages.writes, root.levels);
});

test('patching one slot of a full 64 TiB map reads one path, not the map', async () => {
  const pages = new Pages();
  const size = 64 * TiB;
  const full = Array.from({ length: 2000 }, (_, i) => ({ slot: i * LEAF_SLOTS, entry: chunk(i + 1) }));
  const root = await pages.patch(emptyRoot(size), size, full);
  pages.reads = 0;
  const fresh = new BlockMap(pages as unknown as ObjectReader);
  await fresh.entry(root, 1000 * LEAF_SLOTS);
  assert.equal(pages.reads, levelsFor(size));
});
