/**
 * Patching a map: a base map and sorted updates in, a new root out; only touched pages are written.
 *
 * One page a level is open at a time: the path from the root to the slot last updated. When an update lies elsewhere, the
 * pages that are left are written bottom-up and their ids entered in their parents. So a 64 TiB disk costs four open pages,
 * and a page whose content did not change keeps its id.
 */
import { assert } from '../base/index.ts';
import type { BlockMap } from './block-map.ts';
import { FAN_OUT, LEAF_SLOTS } from './format.ts';
import { levelsFor, slotCount, slotsBelow, type MapRoot } from './map-root.ts';
import { encodeLeaf, encodeNode } from './page.ts';
import type { SlotEntry } from './slot.ts';

export interface SlotUpdate {
  readonly slot: number;
  readonly entry: SlotEntry;
}

/** Stores a page and returns its id. */
export type PageSink = (kind: 'leaf' | 'node', raw: Uint8Array) => Promise<string>;

interface OpenPage {
  readonly level: number;
  /** Position among the pages of its level. */
  readonly index: number;
  readonly cells: (SlotEntry | string)[];
  dirty: boolean;
}

export class MapPatch {
  readonly #map: BlockMap;
  readonly #sink: PageSink;
  readonly #levels: number;
  readonly #slots: number;
  readonly #base: MapRoot;
  /** By level; the top one is opened first and written last. */
  readonly #open: (OpenPage | undefined)[];
  #root: string | null;
  #reached = -1;

  private constructor(map: BlockMap, sink: PageSink, sizeBytes: number, base: MapRoot) {
    this.#map = map;
    this.#sink = sink;
    this.#slots = slotCount(sizeBytes);
    this.#levels = levelsFor(sizeBytes);
    this.#base = base;
    this.#open = Array.from({ length: this.#levels }, () => undefined);
    this.#root = base.id;
  }

  /** `base` may be the map of a smaller or larger disk: it is raised or cut to `sizeBytes`. */
  static async start(map: BlockMap, sink: PageSink, sizeBytes: number, base: MapRoot): Promise<MapPatch> {
    const patch = new MapPatch(map, sink, sizeBytes, base);
    if (base.levels > patch.#levels) await patch.#lower();
    else patch.#raise();
    return patch;
  }

  /** Slots ascend. */
  async update({ slot, entry }: SlotUpdate): Promise<void> {
    assert(slot > this.#reached && slot < this.#slots, 'updates of a map ascend and stay inside the disk');
    this.#reached = slot;
    const leaf = await this.#page(0, Math.floor(slot / LEAF_SLOTS));
    leaf.cells[slot % LEAF_SLOTS] = entry;
    leaf.dirty = true;
  }

  async finish(): Promise<MapRoot> {
    await this.#cut();
    for (let level = 0; level < this.#levels; level += 1) await this.#write(level);
    return { id: this.#root, levels: this.#levels };
  }

  /** The base is larger: its first child, level by level, is what remains of it. */
  async #lower(): Promise<void> {
    for (let level = this.#base.levels - 1; level >= this.#levels && this.#root !== null; level -= 1) {
      this.#root = (await this.#map.node(this.#root, level)).children[0] as string | null;
    }
  }

  /** The base is smaller: it becomes the first descendant of new top pages, which are open from the start. */
  #raise(): void {
    if (this.#base.id === null) return;
    for (let level = this.#base.levels; level < this.#levels; level += 1) {
      const cells: (string | null)[] = Array.from({ length: FAN_OUT }, () => null);
      if (level === this.#base.levels) cells[0] = this.#base.id;
      this.#open[level] = { level, index: 0, cells, dirty: true };
    }
    if (this.#base.levels < this.#levels) this.#root = null;
  }

  /** Removes what lies behind the last slot: only the pages on the right edge can hold such slots. */
  async #cut(): Promise<void> {
    if (this.#slots === slotsBelow(this.#levels - 1)) return;
    const last = this.#slots - 1;
    for (let level = this.#levels - 1; level >= 0; level -= 1) {
      const step = level === 0 ? 1 : slotsBelow(level - 1);
      const page = await this.#page(level, Math.floor(Math.max(last, 0) / slotsBelow(level)));
      const keep = last < 0 ? 0 : (Math.floor(last / step) % page.cells.length) + 1;
      if (page.cells.every((cell, index) => index < keep || cell === null)) continue;
      page.cells.fill(null, keep);
      page.dirty = true;
    }
  }

  async #page(level: number, index: number): Promise<OpenPage> {
    const open = this.#open[level];
    if (open?.index === index) return open;
    for (let below = 0; below <= level; below += 1) await this.#write(below);
    const id = await this.#idOf(level, index);
    const page: OpenPage = { level, index, cells: await this.#cellsOf(level, id), dirty: false };
    this.#open[level] = page;
    return page;
  }

  async #idOf(level: number, index: number): Promise<string | null> {
    if (level === this.#levels - 1) return this.#root;
    const parent = await this.#page(level + 1, Math.floor(index / FAN_OUT));
    return parent.cells[index % FAN_OUT] as string | null;
  }

  async #cellsOf(level: number, id: string | null): Promise<(SlotEntry | string)[]> {
    if (id === null) return Array.from({ length: level === 0 ? LEAF_SLOTS : FAN_OUT }, () => null);
    return level === 0
      ? [...(await this.#map.leaf(id)).slots]
      : [...(await this.#map.node(id, level)).children];
  }

  /** Closes the open page of a level; its parent, open by construction, learns its new id. */
  async #write(level: number): Promise<void> {
    const page = this.#open[level];
    this.#open[level] = undefined;
    if (!page?.dirty) return;
    const id = await this.#store(page);
    if (level === this.#levels - 1) {
      this.#root = id;
      return;
    }
    const parent = await this.#page(level + 1, Math.floor(page.index / FAN_OUT));
    const at = page.index % FAN_OUT;
    if (parent.cells[at] === id) return;
    parent.cells[at] = id;
    parent.dirty = true;
  }

  async #store(page: OpenPage): Promise<string | null> {
    const raw =
      page.level === 0
        ? encodeLeaf(page.cells as SlotEntry[])
        : encodeNode(page.level, page.cells as (string | null)[]);
    return raw && this.#sink(page.level === 0 ? 'leaf' : 'node', raw);
  }
}
