/**
 * What differs between two maps of one disk, by walking only pages that differ.
 *
 * Pages are named by their content, so two equal names are two equal subtrees, and the cost grows with the changes, not with
 * the disk. The answer is exact to the cell as far as names tell: content that was stored anew under another name, because
 * most of its slot changed, is told as different too.
 */
import { coalesce, type Extent } from '../extents/index.ts';
import type { BlockMap } from './block-map.ts';
import { cellCount, gaplessRuns } from './cell-mask.ts';
import { CELL_BYTES, FAN_OUT, LEAF_SLOTS, SLOT_BYTES } from './format.ts';
import { slotsBelow, type MapRoot } from './map-root.ts';
import { cellsOf, sameCell, type SlotEntry } from './slot.ts';
import { slotLength } from './slot-plan.ts';

/** A page of one of the maps; null: zeros. */
type Page = { readonly id: string; readonly level: number } | null;

/** Sorted extents on the grid of cells, clipped to `size`: that of the disk as `after` shows it. */
export function mapDifference(
  map: BlockMap,
  before: MapRoot,
  after: MapRoot,
  size: number,
): AsyncGenerator<Extent> {
  const level = Math.max(before.levels, after.levels) - 1;
  return coalesce(new Difference(map, size).below(pageOf(before), pageOf(after), level, 0));
}

function pageOf({ id, levels }: MapRoot): Page {
  return id === null ? null : { id, level: levels - 1 };
}

class Difference {
  readonly #map: BlockMap;
  readonly #size: number;

  constructor(map: BlockMap, size: number) {
    this.#map = map;
    this.#size = size;
  }

  async *below(before: Page, after: Page, level: number, firstSlot: number): AsyncGenerator<Extent> {
    if (isSame(before, after) || firstSlot * SLOT_BYTES >= this.#size) return;
    if (level === 0) {
      yield* this.#slots(await this.#leaf(before), await this.#leaf(after), firstSlot);
      return;
    }
    const [ours, theirs] = [await this.#children(before, level), await this.#children(after, level)];
    const step = slotsBelow(level - 1);
    for (let index = 0; index < FAN_OUT; index += 1) {
      yield* this.below(ours(index), theirs(index), level - 1, firstSlot + index * step);
    }
  }

  /** Of a disk that grew, the older tree is lower: it is the first child of what would stand above it. */
  async #children(page: Page, level: number): Promise<(index: number) => Page> {
    if (page === null) return () => null;
    if (page.level < level) return (index) => (index === 0 ? page : null);
    const { children } = await this.#map.node(page.id, level);
    return (index) => {
      const id = children[index]!;
      return id === null ? null : { id, level: level - 1 };
    };
  }

  async #leaf(page: Page): Promise<readonly SlotEntry[] | undefined> {
    return page === null ? undefined : (await this.#map.leaf(page.id)).slots;
  }

  *#slots(
    before: readonly SlotEntry[] | undefined,
    after: readonly SlotEntry[] | undefined,
    firstSlot: number,
  ): Generator<Extent> {
    for (let index = 0; index < LEAF_SLOTS; index += 1) {
      const slot = firstSlot + index;
      if (slot * SLOT_BYTES >= this.#size) return;
      yield* differentCells(before?.[index] ?? null, after?.[index] ?? null, slot, this.#size);
    }
  }
}

function isSame(a: Page, b: Page): boolean {
  return a === null || b === null ? a === b : a.id === b.id && a.level === b.level;
}

function* differentCells(before: SlotEntry, after: SlotEntry, slot: number, size: number): Generator<Extent> {
  if (before === after) return;
  const [ours, theirs] = [cellsOf(before), cellsOf(after)];
  const length = slotLength(slot, size);
  let mask = 0;
  for (let cell = 0; cell < cellCount(length); cell += 1) {
    if (!sameCell(ours[cell]!, theirs[cell]!)) mask |= 1 << cell;
  }
  for (const { cell, count } of gaplessRuns(mask)) {
    const offset = slot * SLOT_BYTES + cell * CELL_BYTES;
    yield { offset, length: Math.min(count * CELL_BYTES, slot * SLOT_BYTES + length - offset) };
  }
}
