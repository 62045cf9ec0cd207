/**
 * Reading restore points back: settings, pages, chunks, by the way a restore takes.
 *
 *   1  every page and chunk once, however many points share it ─► what is damaged ─► quarantine
 *   2  only if something is: every map again ─► which ranges of which disks of which points: losses.ts
 *
 * Damage never stops it, and memory does not grow with the repository: one bit an object.
 */
import { hasCode, type Fault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { BlockMap, PageAt } from './block-map.ts';
import {
  CheckedReads,
  PROBLEMS_MAX,
  damageOf,
  type CheckedReadsOptions,
  type CheckedReadsParts,
} from './checked-reads.ts';
import { repositoryFaults } from './faults.ts';
import {
  Losses,
  childrenOf,
  blobsOf,
  type Affected,
  type AffectedDisk,
  type AffectedSettings,
} from './losses.ts';
import { slotCount, slotsBelow, type MapRoot } from './map-root.ts';
import type { RestorePoint } from './point.ts';
import { piecesOf, type SlotEntry } from './slot.ts';
import { slotLength } from './slot-plan.ts';

export interface VerifyProblem {
  /** As a read would throw it. */
  readonly fault: Fault;
  /** Id of the damaged object; absent when a whole file is damaged. */
  readonly objectId?: string;
  readonly affected: readonly AffectedDisk[];
  /** Restore points whose VM settings need it. */
  readonly settingsOf: readonly AffectedSettings[];
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly points: number;
  readonly objects: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly problems: readonly VerifyProblem[];
}

export interface VerifyParts extends CheckedReadsParts {
  readonly map: BlockMap;
}

export class Verification {
  readonly reads: CheckedReads;
  readonly #parts: VerifyParts;
  readonly #options: CallOptions;
  readonly #files: VerifyProblem[] = [];

  constructor(parts: VerifyParts, options: CheckedReadsOptions) {
    this.#parts = parts;
    this.#options = options;
    this.reads = new CheckedReads(parts, options);
  }

  /**
   * Runs a check of something that is a file of its own, and was listed before; damage becomes a problem of the report. One that
   * is gone was removed meanwhile, by those whose work that is; what is missed of it is found by who needs it.
   */
  async file<T>(check: () => Promise<T>): Promise<T | undefined> {
    try {
      return await check();
    } catch (error) {
      if (!hasCode(error, 'STORE_NOT_FOUND')) this.problem(damageOf(error));
      return undefined;
    }
  }

  /** Damage of a whole file. */
  problem(fault: Fault): void {
    if (this.#files.length < PROBLEMS_MAX) this.#files.push({ fault, affected: [], settingsOf: [] });
  }

  async point(point: RestorePoint): Promise<void> {
    for (const id of blobsOf(point)) await this.#blob(id);
    for (const disk of point.disks) {
      for await (const { slot, entry } of this.#slots(disk.root, disk.size)) {
        for (const piece of piecesOf(entry, slotLength(slot, disk.size))) await this.reads.chunk(piece.id);
      }
    }
  }

  /** Waits for what is under way; attributes damage to `points`. Before that, what was found is put into quarantine. */
  async finish(points: readonly RestorePoint[], quarantined: () => Promise<void>): Promise<VerifyReport> {
    await this.reads.settle();
    await quarantined();
    const losses = new Losses({ ...this.#parts, damaged: this.reads.damaged }, this.#options);
    const affected = await losses.of(points);
    const all = [...this.#files, ...this.#problems(affected)];
    return { ok: all.length === 0, points: points.length, ...this.reads.totals, problems: all };
  }

  /** Of this run, and what an earlier one found and is needed still. */
  #problems(affected: ReadonlyMap<string, Affected>): VerifyProblem[] {
    const ids = new Set([...this.reads.damaged.keys(), ...affected.keys()]);
    return [...ids].map((objectId) => {
      const { disks = [], settings = [] } = affected.get(objectId) ?? {};
      const found = this.reads.damaged.get(objectId)?.fault;
      const fault = found ?? (repositoryFaults.objectQuarantined({ id: objectId }) as Fault);
      return { fault, objectId, affected: disks, settingsOf: settings };
    });
  }

  /** Slots that are not zeros, not below pages that were visited before. Pages that cannot be read are damage. */
  async *#slots(root: MapRoot, size: number): AsyncGenerator<{ slot: number; entry: SlotEntry }> {
    if (root.id === null) return;
    const pages: PageAt[] = [{ level: root.levels - 1, id: root.id, firstSlot: 0 }];
    for (let page = pages.pop(); page; page = pages.pop()) {
      this.#options.signal?.throwIfAborted();
      if (!(await this.#isNew(page))) continue;
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

  async #blob(id: string): Promise<void> {
    const { objects } = this.#parts;
    const raw = await this.#page(id, () => objects.read('blob', id, this.#options));
    const place = raw && (await objects.index.findReadable(id));
    if (place) this.reads.isNew(place);
  }

  async #isNew(page: PageAt): Promise<boolean> {
    if (this.reads.damaged.has(page.id)) return false;
    const kind = page.level === 0 ? 'leaf' : 'node';
    const place = await this.reads.attempt(page.id, () => this.#parts.objects.locate(kind, page.id));
    return place !== undefined && this.reads.isNew(place);
  }

  async #read(page: PageAt) {
    const { map } = this.#parts;
    return this.#page(page.id, async () =>
      page.level === 0 ? await map.leaf(page.id) : await map.node(page.id, page.level),
    );
  }

  async #page<T>(id: string, read: () => Promise<T>): Promise<T | undefined> {
    const value = await this.reads.attempt(id, read);
    if (value !== undefined) this.reads.count(1, 0, 0);
    return value;
  }
}
