/** Reading a map: one slot, or all that are not zeros, in order. Zero subtrees are never visited. */
import { mapOrdered } from '../base/index.ts';
import { FetchCache } from './lru.ts';
import { FAN_OUT, LEAF_SLOTS } from './format.ts';
import { slotsBelow, type MapRoot } from './map-root.ts';
import type { ObjectReader } from './object-reader.ts';
import { decodeLeaf, decodeNode, type Leaf, type Node } from './page.ts';
import type { SlotEntry } from './slot.ts';

/** A decoded leaf of chunks is about 30 KiB on the heap, a fully patched one ten times that. */
const LEAVES_KEPT = 64;
const NODES_KEPT = 64;
/** Leaves fetched ahead of a walk: hides the latency of a store that is not local. */
const LEAVES_AHEAD = 4;

export interface SlotAt {
  readonly slot: number;
  readonly entry: Exclude<SlotEntry, null>;
}

export interface PageAt {
  readonly level: number;
  readonly id: string;
  /** Of the slots below it. */
  readonly firstSlot: number;
}

export class BlockMap {
  readonly #objects: ObjectReader;
  readonly #leaves = new FetchCache<Leaf>(LEAVES_KEPT, () => 1);
  readonly #nodes = new FetchCache<Node>(NODES_KEPT, () => 1);

  constructor(objects: ObjectReader) {
    this.#objects = objects;
  }

  leaf(id: string): Leaf | Promise<Leaf> {
    return this.#leaves.get(id, async () => decodeLeaf(await this.#objects.read('leaf', id)));
  }

  node(id: string, level: number): Node | Promise<Node> {
    return this.#nodes.get(`${level} ${id}`, async () =>
      decodeNode(await this.#objects.read('node', id), level),
    );
  }

  /** As {@link entry}, where that needs no waiting; else undefined. */
  kept(root: MapRoot, slot: number): SlotEntry | undefined {
    let id = root.id;
    for (let level = root.levels - 1; level > 0 && id !== null; level -= 1) {
      const node = this.#nodes.kept(`${level} ${id}`);
      if (!node) return undefined;
      id = node.children[Math.floor(slot / slotsBelow(level - 1)) % FAN_OUT]!;
    }
    return id === null ? null : this.#leaves.kept(id)?.slots[slot % LEAF_SLOTS];
  }

  async entry(root: MapRoot, slot: number): Promise<SlotEntry> {
    if (slot >= slotsBelow(root.levels - 1)) return null;
    let id = root.id;
    for (let level = root.levels - 1; level > 0 && id !== null; level -= 1) {
      const { children } = await this.node(id, level);
      id = children[Math.floor(slot / slotsBelow(level - 1)) % FAN_OUT]!;
    }
    return id === null ? null : (await this.leaf(id)).slots[slot % LEAF_SLOTS]!;
  }

  /** Every slot in `[from, to)` that is not zeros, ascending. */
  async *walk(root: MapRoot, from: number, to: number): AsyncGenerator<SlotAt> {
    const leaves = mapOrdered(this.leafIds(root, from, to), LEAVES_AHEAD, async (page) => ({
      page,
      leaf: await this.leaf(page.id),
    }));
    for await (const { page, leaf } of leaves) {
      const first = Math.max(from - page.firstSlot, 0);
      const end = Math.min(to - page.firstSlot, LEAF_SLOTS);
      for (let index = first; index < end; index += 1) {
        const entry = leaf.slots[index]!;
        if (entry !== null) yield { slot: page.firstSlot + index, entry };
      }
    }
  }

  /** The leaves of `[from, to)`, ascending. */
  leafIds(root: MapRoot, from: number, to: number): AsyncGenerator<PageAt> {
    return this.pages(root, from, to, (page) => page.level === 0);
  }

  /** Pages of `[from, to)`, each before its children: those that `wanted` says. */
  async *pages(
    root: MapRoot,
    from: number,
    to: number,
    wanted: (page: PageAt) => boolean = () => true,
  ): AsyncGenerator<PageAt> {
    if (root.id === null) return;
    yield* this.#below({ level: root.levels - 1, id: root.id, firstSlot: 0 }, from, to, wanted);
  }

  async *#below(
    page: PageAt,
    from: number,
    to: number,
    wanted: (page: PageAt) => boolean,
  ): AsyncGenerator<PageAt> {
    if (wanted(page)) yield page;
    if (page.level === 0) return;
    const step = slotsBelow(page.level - 1);
    const { children } = await this.node(page.id, page.level);
    for (let index = 0; index < FAN_OUT; index += 1) {
      const firstSlot = page.firstSlot + index * step;
      const id = children[index]!;
      if (id === null || firstSlot + step <= from || firstSlot >= to) continue;
      yield* this.#below({ level: page.level - 1, id, firstSlot }, from, to, wanted);
    }
  }
}
