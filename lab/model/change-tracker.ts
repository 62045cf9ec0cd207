/**
 * Resilient change tracking of one virtual disk, as `GetVirtualDiskChanges` answers from it.
 *
 *   seal 1 ── writes ── seal 2 ── writes ── seal 3 ── writes (open)
 *     └ generation 1 ┘    └ generation 2 ┘    └ generation 3
 *
 * A *seal* closes a generation when a checkpoint freezes the disk; its id is what a reference point keeps. Changes since
 * seal `a` in a file that shows the disk at seal `b` are the union of generations `a` to `b - 1`. Before the first seal
 * nothing is tracked. Seals nobody refers to are forgotten: their generation joins the one before.
 *
 * Written down beside the disk at every seal and clean stop (`.rct`); between these, each coarse region is noted in the
 * region table (`.mrt`) before its first write. After an unclean stop whole regions count as changed: more than true,
 * never less (facts: hyperv.md §3.3).
 */
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { MiB, newGuid } from '../../src/base/index.ts';
import type { Extent } from '../../src/extents/index.ts';
import { IntervalSet } from './interval-set.ts';
import { replaceFile } from './replace-file.ts';

/** Beyond this many ranges a generation is kept on a coarser grid: 100 000 ranges are about 2 MB of memory. */
const RANGES_MAX = 100_000;

interface Generation {
  /** Number of the seal that opened it. */
  readonly since: number;
  changes: IntervalSet;
}

interface SavedTracking {
  readonly trackingId: string;
  readonly lastSeal: number;
  readonly generations: readonly { since: number; ranges: readonly number[] }[];
}

export interface TrackingGrid {
  /** Bytes; each write is recorded grown outward to multiples of this. */
  readonly granularityBytes: number;
  /** Bytes of one region of the region table. */
  readonly regionBytes: number;
}

export class ChangeTracker {
  readonly #path: string;
  readonly #grid: TrackingGrid;
  #trackingId = newGuid();
  #lastSeal = 0;
  #generations: Generation[] = [];
  /** Regions already noted in the region table since the last save. */
  #regions = new Set<number>();

  private constructor(diskPath: string, grid: TrackingGrid) {
    this.#path = diskPath;
    this.#grid = grid;
  }

  /** The tracking kept beside `diskPath`, or a fresh one. */
  static async open(diskPath: string, grid: TrackingGrid): Promise<ChangeTracker> {
    const tracker = new ChangeTracker(diskPath, grid);
    const saved = await readFile(tracker.#rct, 'utf8').catch(() => undefined);
    if (saved !== undefined) tracker.#load(JSON.parse(saved) as SavedTracking);
    await tracker.#recoverRegions();
    return tracker;
  }

  get #rct(): string {
    return `${this.#path}.rct`;
  }

  get #mrt(): string {
    return `${this.#path}.mrt`;
  }

  /** Must resolve before the bytes reach the disk: a change that is not noted could be lost by a crash. */
  async record(offset: number, length: number): Promise<void> {
    const open = this.#generations.at(-1);
    if (!open || length <= 0) return;
    const fresh: number[] = [];
    const last = Math.floor((offset + length - 1) / this.#grid.regionBytes);
    for (let region = Math.floor(offset / this.#grid.regionBytes); region <= last; region += 1) {
      if (!this.#regions.has(region)) fresh.push(region);
    }
    if (fresh.length > 0) await appendFile(this.#mrt, Buffer.from(Uint32Array.from(fresh).buffer));
    for (const region of fresh) this.#regions.add(region);
    const grid = this.#grid.granularityBytes;
    open.changes.add(Math.floor(offset / grid) * grid, Math.ceil((offset + length) / grid) * grid);
    this.#keepBounded(open);
  }

  #keepBounded(generation: Generation): void {
    for (let grid = MiB; generation.changes.count > RANGES_MAX; grid *= 4) {
      generation.changes = generation.changes.coarsened(grid);
    }
  }

  /** Closes the open generation; the number of the new seal. */
  async seal(): Promise<number> {
    this.#lastSeal += 1;
    this.#generations.push({ since: this.#lastSeal, changes: new IntervalSet() });
    await this.save();
    return this.#lastSeal;
  }

  /** `rctX:5bfde23b:ce75:4303:b54f:6c18394f105c:00000001`: the form seen on real hosts. */
  idOf(seal: number): string {
    return `rctX:${this.#trackingId.replaceAll('-', ':')}:${seal.toString(16).padStart(8, '0')}`;
  }

  /** The number of a seal that is still known, by its id; compared letter for letter. */
  sealOf(id: string): number | undefined {
    return this.#generations.find((generation) => this.idOf(generation.since) === id)?.since;
  }

  /**
   * What changed since a known seal inside `[from, to)`: sorted, disjoint. `until` is the seal at which the asked file was
   * frozen; without it the answer goes up to now. `undefined` when the file is older than the seal.
   */
  changes(since: number, until: number | undefined, from: number, to: number): Extent[] | undefined {
    if (until !== undefined && until < since) return undefined;
    const union = new IntervalSet();
    for (const generation of this.#generations) {
      if (generation.since < since || (until !== undefined && generation.since >= until)) continue;
      for (const { offset, length } of generation.changes.within(from, to))
        union.add(offset, offset + length);
    }
    return [...union.within(from, to)];
  }

  /** Forgets every seal that is not in `wanted`. */
  async retain(wanted: ReadonlySet<number>): Promise<void> {
    const kept: Generation[] = [];
    for (const generation of this.#generations) {
      const previous = kept.at(-1);
      if (wanted.has(generation.since)) kept.push(generation);
      else previous?.changes.addAll(generation.changes);
    }
    if (kept.length === this.#generations.length) return;
    this.#generations = kept;
    for (const generation of kept) this.#keepBounded(generation);
    await this.save();
  }

  /**
   * The disk is what it was at a seal that is still known: later ones are forgotten, and so is what was written since. A host that
   * keeps them forgets only the writes of the file that is gone.
   */
  async revert(seal: number, { keepsLater }: { readonly keepsLater: boolean }): Promise<void> {
    if (!keepsLater) this.#generations = this.#generations.filter(({ since }) => since <= seal);
    const open = this.#generations.at(-1);
    if (open && open.since >= seal) open.changes = new IntervalSet();
    await this.save();
  }

  /** As when the tracking files do not belong to the disk any more: no id handed out so far is known. */
  async forget(): Promise<void> {
    this.#trackingId = newGuid();
    this.#generations = [];
    await this.save();
  }

  /** Writes everything down exactly and empties the region table. */
  async save(): Promise<void> {
    const saved: SavedTracking = {
      trackingId: this.#trackingId,
      lastSeal: this.#lastSeal,
      generations: this.#generations.map(({ since, changes }) => ({ since, ranges: changes.toJSON() })),
    };
    await replaceFile(this.#rct, JSON.stringify(saved));
    // In this order: a crash in between leaves regions that are noted twice, never one that is noted nowhere.
    await writeFile(this.#mrt, '');
    this.#regions = new Set();
  }

  async remove(): Promise<void> {
    await rm(this.#rct, { force: true });
    await rm(this.#mrt, { force: true });
  }

  #load(saved: SavedTracking): void {
    this.#trackingId = saved.trackingId;
    this.#lastSeal = saved.lastSeal;
    this.#generations = saved.generations.map(({ since, ranges }) => ({
      since,
      changes: IntervalSet.fromJSON(ranges),
    }));
  }

  async #recoverRegions(): Promise<void> {
    const noted = await readFile(this.#mrt).catch(() => Buffer.alloc(0));
    const open = this.#generations.at(-1);
    if (noted.length < 4 || !open) return;
    for (let at = 0; at + 4 <= noted.length; at += 4) {
      const start = noted.readUInt32LE(at) * this.#grid.regionBytes;
      open.changes.add(start, start + this.#grid.regionBytes);
    }
    await this.save();
  }
}
