/**
 * What damage costs: which ranges of which disks, and which settings, of which restore points cannot be had.
 *
 * An object is lost when it was found damaged, and no place of it is known that is not. Every map is walked whole, so this is
 * done only when there is damage at all.
 */
import type { CallOptions } from '../disk/index.ts';
import { normalise, type Extent } from '../extents/index.ts';
import { isFault } from '../base/index.ts';
import type { BlockMap, PageAt } from './block-map.ts';
import { LEAF_SLOTS, SLOT_BYTES } from './format.ts';
import { slotCount, slotsBelow } from './map-root.ts';
import type { ObjectReader } from './object-reader.ts';
import type { PointDisk, RestorePoint } from './point.ts';
import type { Quarantine } from './quarantine.ts';
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

export interface AffectedSettings {
  readonly pointId: string;
  readonly vmId: string;
  readonly vmName: string;
}

/** By one lost object. */
export interface Affected {
  readonly disks: readonly AffectedDisk[];
  readonly settings: readonly AffectedSettings[];
}

/** A range of a disk that needs a lost object: a page, or a chunk. */
type LostRange = Extent & { readonly id: string; readonly sourceOffset?: number };

/** Part of a lost chunk, where it lies in the disk and in the chunk. */
export interface LostPiece extends Extent {
  readonly id: string;
  readonly sourceOffset: number;
}

export interface LossesParts {
  readonly map: BlockMap;
  readonly objects: ObjectReader;
  readonly quarantine: Quarantine;
  /** Found damaged just now, by id. */
  readonly damaged: ReadonlyMap<string, unknown>;
}

export class Losses {
  readonly #parts: LossesParts;
  readonly #options: CallOptions;
  /** Ids that may be lost; what is known of a whole pack is asked of the index. */
  readonly #suspects: ReadonlySet<string>;
  readonly #asksIndex: boolean;
  readonly #answers = new Map<string, boolean>();

  constructor(parts: LossesParts, options: CallOptions) {
    this.#parts = parts;
    this.#options = options;
    const { objects, packs } = parts.quarantine;
    this.#suspects = new Set([...parts.damaged.keys(), ...objects.map(({ id }) => id)]);
    this.#asksIndex = packs.length > 0;
  }

  /** By id of the lost object. */
  async of(points: readonly RestorePoint[]): Promise<Map<string, Affected>> {
    const affected = new Map<string, Affected>();
    if (this.#suspects.size === 0 && !this.#asksIndex) return affected;
    for (const point of points) {
      const { id: vmId, name: vmName } = point.vm;
      const common = { pointId: point.id, vmId, vmName };
      for (const id of new Set(blobsOf(point)))
        if (await this.isLost(id)) add(affected, id, { disks: [], settings: [common] });
      for (const disk of point.disks) {
        const { diskId, path } = disk;
        for (const [id, ranges] of await this.#lostRanges(disk))
          add(affected, id, {
            disks: [{ ...common, diskId, path, ranges: normalise(ranges) }],
            settings: [],
          });
      }
    }
    return affected;
  }

  /** Is anything of this disk lost? Stops at the first. */
  async anyOf(disk: Pick<PointDisk, 'root' | 'size'>): Promise<boolean> {
    if (this.#suspects.size === 0 && !this.#asksIndex) return false;
    for await (const _lost of this.#walk(disk)) return true;
    return false;
  }

  /** The lost pieces of chunks, without what is below lost pages: which chunks those named, nobody knows. */
  async *pieces(disk: Pick<PointDisk, 'root' | 'size'>): AsyncGenerator<LostPiece> {
    if (this.#suspects.size === 0 && !this.#asksIndex) return;
    for await (const piece of this.#walk(disk)) if ('sourceOffset' in piece) yield piece as LostPiece;
  }

  async isLost(id: string): Promise<boolean> {
    if (!this.#asksIndex && !this.#suspects.has(id)) return false;
    const known = this.#answers.get(id);
    if (known !== undefined) return known;
    const answer = await this.#ask(id);
    if (this.#answers.size < ANSWERS_KEPT) this.#answers.set(id, answer);
    return answer;
  }

  async #ask(id: string): Promise<boolean> {
    const found = await this.#parts.objects.index.findReadable(id);
    if (!found || found.quarantined) return true;
    // Damaged where it is read from, and not in quarantine: that could not be written down.
    return this.#parts.damaged.has(id) && !this.#parts.quarantine.objects.some((each) => each.id === id);
  }

  /** By lost object, the ranges of the disk that need it. */
  async #lostRanges(disk: PointDisk): Promise<Map<string, Extent[]>> {
    const ranges = new Map<string, Extent[]>();
    for await (const { id, offset, length } of this.#walk(disk)) {
      const clipped = Math.min(length, disk.size - offset);
      if (clipped > 0) ranges.set(id, [...(ranges.get(id) ?? []), { offset, length: clipped }]);
    }
    return ranges;
  }

  async *#walk({ root, size }: Pick<PointDisk, 'root' | 'size'>): AsyncGenerator<LostRange> {
    const pages: PageAt[] = root.id === null ? [] : [{ level: root.levels - 1, id: root.id, firstSlot: 0 }];
    for (let page = pages.pop(); page; page = pages.pop()) {
      this.#options.signal?.throwIfAborted();
      const content = (await this.isLost(page.id)) ? undefined : await this.#read(page);
      if (!content) {
        yield {
          id: page.id,
          offset: page.firstSlot * SLOT_BYTES,
          length: slotsBelow(page.level) * SLOT_BYTES,
        };
      } else if ('children' in content) {
        const below = childrenOf(page, content.children).filter((child) => child.firstSlot < slotCount(size));
        pages.push(...below.toReversed());
      } else yield* this.#leaf(page, content.slots, size);
    }
  }

  async *#leaf(page: PageAt, slots: readonly SlotEntry[], size: number) {
    const end = Math.min(slotCount(size) - page.firstSlot, LEAF_SLOTS);
    for (let index = 0; index < end; index += 1) {
      const entry = slots[index]!;
      if (entry === null || !(await this.#isAnyLost(entry))) continue;
      const slot = page.firstSlot + index;
      for (const piece of piecesOf(entry, slotLength(slot, size))) {
        const { id, length, sourceOffset } = piece;
        if (await this.isLost(id))
          yield { id, offset: slot * SLOT_BYTES + piece.offset, length, sourceOffset };
      }
    }
  }

  async #isAnyLost(entry: SlotEntry): Promise<boolean> {
    for (const id of new Set(cellsOf(entry).flatMap((cell) => cell?.id ?? []))) {
      if (await this.isLost(id)) return true;
    }
    return false;
  }

  /** Undefined when it is damaged after all. */
  async #read({ id, level }: PageAt) {
    try {
      return level === 0 ? await this.#parts.map.leaf(id) : await this.#parts.map.node(id, level);
    } catch (error) {
      if (isFault(error) && error.kind === 'corrupt') return undefined;
      throw error;
    }
  }
}

/** Answers of the index that are remembered: about 30 MiB. */
const ANSWERS_KEPT = 200_000;

function add(affected: Map<string, Affected>, id: string, { disks, settings }: Affected): void {
  const known = affected.get(id) ?? { disks: [], settings: [] };
  affected.set(id, { disks: [...known.disks, ...disks], settings: [...known.settings, ...settings] });
}

/** Settings of the VM, and the host's own files of them. */
export function blobsOf({ vm: { configuration, files = [] } }: RestorePoint): string[] {
  return [configuration, ...files.map(({ blob }) => blob)];
}

export function childrenOf(page: PageAt, children: readonly (string | null)[]): PageAt[] {
  const step = slotsBelow(page.level - 1);
  return children.flatMap((id, index) =>
    id === null ? [] : [{ level: page.level - 1, id, firstSlot: page.firstSlot + index * step }],
  );
}
