/**
 * Reading everything back: manifests, pages, chunks, and for a whole repository also packs, index, keys, baselines and journal.
 *
 *   1  every page and chunk once, however many points share it ─► what is damaged
 *   2  only if something is: every map again ─► which ranges of which disks of which points
 *
 * Damage never stops it, and memory does not grow with the repository: one bit an object.
 */
import { isFault, silentProgress, type Fault, type Progress } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { normalise, type Extent } from '../extents/index.ts';
import type { BlockMap, PageAt } from './block-map.ts';
import { SLOT_BYTES } from './format.ts';
import type { RepositoryPool } from './jobs.ts';
import { slotCount, slotsBelow, type MapRoot } from './map-root.ts';
import type { Location } from './object-index.ts';
import { damagedObject, type ObjectReader } from './object-reader.ts';
import { readObject } from './restore.ts';
import type { PointDisk, RestorePoint } from './point.ts';
import { SeenObjects } from './seen-objects.ts';
import { cellsOf, piecesOf, type SlotEntry } from './slot.ts';
import { slotLength } from './slot-plan.ts';

export interface AffectedDisk {
  readonly pointId: string;
  readonly vmId: string;
  readonly vmName: string;
  readonly diskId: string;
  readonly path: string;
  /** Ranges of the virtual disk whose bytes cannot be had. */
  readonly ranges: readonly Extent[];
}

export interface VerifyProblem {
  /** As a read would throw it. */
  readonly fault: Fault;
  /** Id of the damaged object; absent when a whole file is damaged. */
  readonly objectId?: string;
  readonly affected: readonly AffectedDisk[];
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly points: number;
  readonly objects: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly problems: readonly VerifyProblem[];
}

export interface VerifyParts {
  readonly map: BlockMap;
  readonly objects: ObjectReader;
  readonly pool: RepositoryPool;
}

const BATCH_OBJECTS = 8;
const BATCHES_AT_ONCE = 8;
/** Damaged objects told apart; a repository with more is lost as a whole, and its report is long enough. */
const PROBLEMS_MAX = 10_000;

export class Verification {
  readonly #parts: VerifyParts;
  readonly #options: CallOptions;
  readonly #progress: Progress;
  readonly #seen = new SeenObjects();
  readonly #damaged = new Map<string, Fault>();
  readonly #files: VerifyProblem[] = [];
  readonly #running = new Set<Promise<void>>();
  #batch: Location[] = [];
  #failure: { readonly error: unknown } | undefined;
  #totals = { objects: 0, rawBytes: 0, storedBytes: 0 };

  constructor(parts: VerifyParts, options: CallOptions & { readonly progress?: Progress | undefined }) {
    this.#parts = parts;
    this.#options = options;
    this.#progress = options.progress ?? silentProgress;
  }

  /** Runs a check of something that is a file of its own; damage becomes a problem of the report. */
  async file<T>(check: () => Promise<T>): Promise<T | undefined> {
    try {
      return await check();
    } catch (error) {
      const fault = damageOf(error);
      if (this.#files.length < PROBLEMS_MAX) this.#files.push({ fault, affected: [] });
      return undefined;
    }
  }

  async point(point: RestorePoint): Promise<void> {
    const { configuration, files = [] } = point.vm;
    for (const id of [configuration, ...files.map(({ blob }) => blob)])
      await this.#page(id, () => this.#parts.objects.read('blob', id, this.#options));
    for (const disk of point.disks) await this.#disk(disk);
  }

  /** Waits for what is under way; attributes damage to `points`, which are the ones that were checked. */
  async finish(points: readonly RestorePoint[]): Promise<VerifyReport> {
    this.#dispatch();
    await Promise.all(this.#running);
    if (this.#failure) throw this.#failure.error;
    const affected =
      this.#damaged.size > 0 ? await this.#attribute(points) : new Map<string, AffectedDisk[]>();
    const problems = [...this.#damaged].map(([objectId, fault]): VerifyProblem => ({
      fault,
      objectId,
      affected: affected.get(objectId) ?? [],
    }));
    const all = [...this.#files, ...problems];
    return { ok: all.length === 0, points: points.length, ...this.#totals, problems: all };
  }

  async #disk(disk: PointDisk): Promise<void> {
    for await (const { slot, entry } of this.#slots(disk.root, disk.size, true)) {
      for (const piece of piecesOf(entry, slotLength(slot, disk.size))) await this.#chunk(piece.id);
    }
  }

  async #chunk(id: string): Promise<void> {
    if (this.#damaged.has(id)) return;
    try {
      const place = await this.#parts.objects.locate('data', id);
      if (!this.#seen.add(place)) return;
      this.#batch.push(place);
    } catch (error) {
      this.#damage(id, damageOf(error));
    }
    if (this.#batch.length < BATCH_OBJECTS) return;
    while (this.#running.size >= BATCHES_AT_ONCE) await Promise.race(this.#running);
    if (this.#failure) throw this.#failure.error;
    this.#options.signal?.throwIfAborted();
    this.#dispatch();
  }

  #dispatch(): void {
    if (this.#batch.length === 0) return;
    const running: Promise<void> = this.#check(this.#batch)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(running));
    this.#batch = [];
    this.#running.add(running);
  }

  async #check(places: readonly Location[]): Promise<void> {
    const readable: Location[] = [];
    const objects = [];
    for (const place of places) {
      try {
        objects.push(await readObject(this.#parts.objects, place, [], this.#options));
        readable.push(place);
      } catch (error) {
        this.#damage(hex(place.id), damageOf(error));
      }
    }
    const reply = await this.#parts.pool.run('read', { objects });
    for (const { index, problem } of reply.problems) {
      const place = readable[index]!;
      this.#damage(hex(place.id), damagedObject('data', place, problem) as Fault);
    }
    this.#count(places.length, reply.rawBytes, reply.storedBytes);
  }

  /** Slots that are not zeros; with `once`, not below pages that were visited before. Pages that cannot be read are damage. */
  async *#slots(
    root: MapRoot,
    size: number,
    once: boolean,
  ): AsyncGenerator<{ slot: number; entry: SlotEntry }> {
    if (root.id === null) return;
    const pages: PageAt[] = [{ level: root.levels - 1, id: root.id, firstSlot: 0 }];
    for (let page = pages.pop(); page; page = pages.pop()) {
      this.#options.signal?.throwIfAborted();
      if (once && !(await this.#isNew(page))) continue;
      const content = await this.#read(page);
      if (!content) continue;
      const end = Math.min(slotCount(size) - page.firstSlot, slotsBelow(page.level));
      if ('slots' in content) {
        for (let i = 0; i < end; i += 1)
          if (content.slots[i]) yield { slot: page.firstSlot + i, entry: content.slots[i]! };
      } else {
        pages.push(...childrenOf(page, content.children).toReversed());
      }
    }
  }

  async #isNew(page: PageAt): Promise<boolean> {
    if (this.#damaged.has(page.id)) return false;
    const place = await this.#page(page.id, () => this.#parts.objects.locate(kindOf(page), page.id));
    return place !== undefined && this.#seen.add(place);
  }

  async #read(page: PageAt) {
    if (this.#damaged.has(page.id)) return undefined;
    const { map } = this.#parts;
    return this.#page(page.id, async () =>
      page.level === 0 ? await map.leaf(page.id) : await map.node(page.id, page.level),
    );
  }

  async #page<T>(id: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      const value = await read();
      this.#count(1, 0, 0);
      return value;
    } catch (error) {
      this.#damage(id, damageOf(error));
      return undefined;
    }
  }

  #count(objects: number, rawBytes: number, storedBytes: number): void {
    this.#totals.objects += objects;
    this.#totals.rawBytes += rawBytes;
    this.#totals.storedBytes += storedBytes;
    this.#progress.advance(rawBytes);
  }

  #damage(id: string, fault: Fault): void {
    if (this.#damaged.size < PROBLEMS_MAX) this.#damaged.set(id, fault);
  }

  async #attribute(points: readonly RestorePoint[]): Promise<Map<string, AffectedDisk[]>> {
    const affected = new Map<string, AffectedDisk[]>();
    for (const point of points) {
      for (const disk of point.disks) {
        for (const [id, ranges] of await this.#damagedRanges(disk)) {
          const { id: vmId, name: vmName } = point.vm;
          const entry = {
            pointId: point.id,
            vmId,
            vmName,
            diskId: disk.diskId,
            path: disk.path,
            ranges: normalise(ranges),
          };
          affected.set(id, [...(affected.get(id) ?? []), entry]);
        }
      }
    }
    return affected;
  }

  /** By damaged object, the ranges of the disk that need it. */
  async #damagedRanges(disk: PointDisk): Promise<Map<string, Extent[]>> {
    const ranges = new Map<string, Extent[]>();
    const add = (id: string, offset: number, length: number): void => {
      const clipped = Math.min(length, disk.size - offset);
      if (clipped > 0) ranges.set(id, [...(ranges.get(id) ?? []), { offset, length: clipped }]);
    };
    for await (const page of this.#damagedPages(disk)) {
      add(page.id, page.firstSlot * SLOT_BYTES, slotsBelow(page.level) * SLOT_BYTES);
    }
    for await (const { slot, entry } of this.#slots(disk.root, disk.size, false)) {
      if (!cellsOf(entry).some((cell) => cell && this.#damaged.has(cell.id))) continue;
      for (const piece of piecesOf(entry, slotLength(slot, disk.size))) {
        if (this.#damaged.has(piece.id)) add(piece.id, slot * SLOT_BYTES + piece.offset, piece.length);
      }
    }
    return ranges;
  }

  async *#damagedPages({ root }: PointDisk): AsyncGenerator<PageAt> {
    if (root.id === null) return;
    const pages: PageAt[] = [{ level: root.levels - 1, id: root.id, firstSlot: 0 }];
    for (let page = pages.pop(); page; page = pages.pop()) {
      if (this.#damaged.has(page.id)) yield page;
      else if (page.level > 0) {
        pages.push(...childrenOf(page, (await this.#parts.map.node(page.id, page.level)).children));
      }
    }
  }
}

function childrenOf(page: PageAt, children: readonly (string | null)[]): PageAt[] {
  const step = slotsBelow(page.level - 1);
  return children.flatMap((id, index) =>
    id === null ? [] : [{ level: page.level - 1, id, firstSlot: page.firstSlot + index * step }],
  );
}

function kindOf(page: PageAt): 'leaf' | 'node' {
  return page.level === 0 ? 'leaf' : 'node';
}

/** Damage is reported; everything else (no network, cancelled, a bug) ends the verification: it says nothing about the data. */
function damageOf(error: unknown): Fault {
  if (isFault(error) && error.kind === 'corrupt') return error;
  throw error;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
