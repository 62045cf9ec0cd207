import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, KiB, MiB, TiB } from '../base/index.ts';
import { BlockMap } from './block-map.ts';
import { FAN_OUT, LEAF_SLOTS } from './format.ts';
import { mapDifference } from './map-difference.ts';
import { levelsFor, slotCount, slotsBelow, type MapRoot } from './map-root.ts';
import type { ObjectReader } from './object-reader.ts';
import { encodeLeaf, encodeNode } from './page.ts';
import { entryOf, type SlotEntry } from './slot.ts';

/** Maps in memory whose pages are counted when they are read. */
class Maps {
  readonly pages = new Map<string, Uint8Array>();
  reads = 0;

  build(size: number, slots: ReadonlyMap<number, SlotEntry>): MapRoot {
    const levels = levelsFor(size);
    return {
      id: this.#page(
        [...slots.keys()].toSorted((a, b) => a - b),
        slots,
        levels - 1,
        0,
      ),
      levels,
    };
  }

  /** A map of its own: nothing is cached. */
  map(): BlockMap {
    const read = async (_kind: string, id: string): Promise<Buffer> => {
      this.reads += 1;
      return Buffer.from(this.pages.get(id)!);
    };
    return new BlockMap({ read } as unknown as ObjectReader);
  }

  #page(
    keys: readonly number[],
    slots: ReadonlyMap<number, SlotEntry>,
    level: number,
    first: number,
  ): string | null {
    const within = keys.filter((slot) => slot >= first && slot < first + slotsBelow(level));
    if (within.length === 0) return null;
    if (level === 0)
      return this.#keep(
        encodeLeaf(Array.from({ length: LEAF_SLOTS }, (_, i) => slots.get(first + i) ?? null)),
      );
    const step = slotsBelow(level - 1);
    const children = Array.from({ length: FAN_OUT }, (_, i) =>
      this.#page(within, slots, level - 1, first + i * step),
    );
    return this.#keep(encodeNode(level, children));
  }

  #keep(bytes: Buffer | null): string | null {
    if (bytes === null) return null;
    const id = createHash('sha256').update(bytes).digest('hex');
    this.pages.set(id, bytes);
    return id;
  }
}

const idOf = (seed: number): string => createHash('sha256').update(String(seed)).digest('hex');
const chunk = (seed: number): SlotEntry => ({ kind: 'chunk', id: idOf(seed) });

test('one changed cell of a full disk of 1 TiB costs its path of pages, whatever else the disk holds', async () => {
  const maps = new Maps();
  const slots = new Map(Array.from({ length: slotCount(TiB) / 128 }, (_, i) => [i * 128, chunk(i)]));
  const before = maps.build(TiB, slots);
  const changed = entryOf(
    Array.from({ length: 16 }, (_, cell) => ({
      id: cell === 5 ? idOf(-1) : idOf(1),
      cell: cell === 5 ? 0 : cell,
    })),
  );
  const after = maps.build(TiB, new Map([...slots, [128, changed]]));
  const found = await Array.fromAsync(mapDifference(maps.map(), before, after, TiB));
  assert.deepEqual(found, [{ offset: 128 * MiB + 5 * 64 * KiB, length: 64 * KiB }]);
  assert.ok(maps.pages.size > 4000, `${maps.pages.size} pages`);
  assert.equal(maps.reads, 2 * before.levels);
  assert.deepEqual(await Array.fromAsync(mapDifference(maps.map(), after, after, TiB)), []);
  assert.equal(maps.reads, 2 * before.levels, 'an unchanged disk costs nothing');
});

test('the difference is that of all slots one by one, also of disks that grew or shrank', async () => {
  const size = fc.constantFrom(3 * MiB + 512, 100 * MiB, 256 * MiB, 300 * MiB, 70 * GiB);
  const entry = fc.nat(3).map((seed) => (seed === 0 ? null : chunk(seed)));
  const slots = fc.array(fc.tuple(fc.nat(400), entry), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(size, size, slots, slots, async (sizeBefore, sizeAfter, a, b) => {
      const maps = new Maps();
      const [before, after] = [
        new Map(a.filter(([slot]) => slot < slotCount(sizeBefore))),
        new Map([...a, ...b].filter(([slot]) => slot < slotCount(sizeAfter))),
      ];
      const roots = [maps.build(sizeBefore, before), maps.build(sizeAfter, after)] as const;
      const found = await Array.fromAsync(mapDifference(maps.map(), ...roots, sizeAfter));
      const inFound = (slot: number): boolean =>
        found.some(({ offset, length }) => offset <= slot * MiB && offset + length > slot * MiB);
      for (let slot = 0; slot <= 400 && slot < slotCount(sizeAfter); slot += 1) {
        const same = JSON.stringify(before.get(slot) ?? null) === JSON.stringify(after.get(slot) ?? null);
        assert.equal(inFound(slot), !same, `slot ${slot}`);
      }
      assert.ok(found.every(({ offset, length }) => offset + length <= sizeAfter));
    }),
    { numRuns: 60 },
  );
});
