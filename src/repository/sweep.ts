/**
 * Packs read back whole, object by object, in the order of the ring: see verified.ts. It finds damage also in what no restore
 * point needs just now, since a later backup may refer to it.
 */
import { hasCode, type Fault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { hexOf, kindOf, packName } from './format.ts';
import { PROBLEMS_MAX, damageOf, type CheckedReads } from './checked-reads.ts';
import type { ObjectIndex } from './object-index.ts';
import type { PackReader } from './pack-reader.ts';
import type { Quarantine } from './quarantine.ts';
import type { ObjectPlace, PackInfo } from './segment-writer.ts';
import { RING, nextPosition, ringPosition, type VerifiedRing } from './verified.ts';

/** How much to read: of the bytes in packs, in bytes, or for so long. At least one pack is read. */
export type VerifyBudget =
  | { readonly percent: number }
  | { readonly bytes: number }
  | { readonly seconds: number };

export interface SweepParts {
  readonly index: ObjectIndex;
  readonly packs: PackReader;
  readonly reads: CheckedReads;
  readonly quarantine: Quarantine;
  readonly ring: Pick<VerifiedRing, 'spans' | 'mark'>;
  readonly now: () => Date;
}

/** 8 GiB: what a run that is cut off reads again at most. */
const PACKS_OF_MARK = 256;

export class PackSweep {
  /** Packs that the index names and nobody can read, by hexadecimal id. */
  readonly lost = new Set<string>();
  readonly faults: Fault[] = [];
  /** Of the packs that are quarantined as a whole, those that were read again. */
  readonly readWhole = new Set<string>();
  /** Packs whose trailer is damaged: only the index knows all that is in them. */
  readonly #torn = new Set<string>();
  readonly #parts: SweepParts;
  readonly #options: CallOptions;
  readonly #startedAt: string;
  #readBytes = 0;

  constructor(parts: SweepParts, options: CallOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#startedAt = parts.now().toISOString();
  }

  /** Every pack. Those that cannot be listed are for the caller to name. */
  async everything(): Promise<void> {
    for (const pack of await this.#parts.index.packs()) await this.#pack(pack);
    this.faults.length = 0;
    await this.#mark(0, RING);
  }

  /** As much as the budget allows, from where the last one ended. */
  async within(budget: VerifyBudget): Promise<void> {
    const start = nextPosition(this.#parts.ring.spans);
    const packs = inOrder(await this.#parts.index.packs(), start);
    const spent = this.#meter(budget, packs);
    let from = start;
    for (const [index, pack] of packs.entries()) {
      const at = start + distance(start, pack);
      const isSpent = index > 0 && spent();
      if (isSpent || (index > 0 && index % PACKS_OF_MARK === 0)) {
        await this.#mark(from, at);
        from = at;
      }
      if (isSpent) return;
      await this.#pack(pack);
    }
    await this.#mark(from, start + RING);
  }

  #meter(budget: VerifyBudget, packs: readonly PackInfo[]): () => boolean {
    if ('seconds' in budget) {
      const end = this.#parts.now().getTime() + budget.seconds * 1000;
      return () => this.#parts.now().getTime() >= end;
    }
    const total = packs.reduce((sum, { size }) => sum + size, 0);
    const bytes = 'bytes' in budget ? budget.bytes : (total * budget.percent) / 100;
    return () => this.#readBytes >= bytes;
  }

  /** What was asked for so far is waited for, then remembered. */
  async #mark(from: number, to: number): Promise<void> {
    await this.#tornPacks();
    await this.#parts.reads.settle();
    if (to > from) await this.#parts.ring.mark(from % RING, to - from, this.#startedAt, this.#options);
  }

  async #pack(pack: PackInfo): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#readBytes += pack.size;
    const places = await this.#listed(pack);
    if (places && this.#parts.quarantine.hasPack(pack.packId)) this.readWhole.add(hexOf(pack.packId));
    for (const place of places ?? []) {
      const kind = kindOf(place.kind);
      if (kind !== undefined && !(await this.#isKnown(place))) await this.#parts.reads.place(kind, place);
    }
  }

  /** Read for a restore point already; or damaged since long, and stored again. */
  async #isKnown(place: ObjectPlace): Promise<boolean> {
    const { index, reads, quarantine } = this.#parts;
    const found = await index.findReadable(hexOf(place.id));
    if (!found) return false;
    const isHere = hexOf(found.packId) === hexOf(place.packId) && found.offset === place.offset;
    if (isHere) return reads.wasRead(found) && !found.quarantined;
    return quarantine.has(place) && !found.quarantined;
  }

  /** Undefined when its trailer cannot be read. */
  async #listed({ packId, size }: PackInfo) {
    const name = packName(packId);
    try {
      return (await this.#parts.packs.list({ name, size }, this.#options)).places;
    } catch (error) {
      if (!hasCode(error, 'STORE_NOT_FOUND')) this.#tear(packId, damageOf(error));
      else if (await this.#parts.reads.fates.isLost(packId)) this.lost.add(hexOf(packId));
      return undefined;
    }
  }

  #tear(packId: Uint8Array, fault: Fault): void {
    this.#torn.add(hexOf(packId));
    if (this.faults.length < PROBLEMS_MAX) this.faults.push(fault);
  }

  async #tornPacks(): Promise<void> {
    if (this.#torn.size === 0) return;
    for (const segment of this.#parts.index.segments) {
      for await (const place of segment.entries()) {
        if (!this.#torn.has(hexOf(place.packId)) || (await this.#isKnown(place))) continue;
        await this.#parts.reads.unlisted(place);
      }
    }
    this.#torn.clear();
  }
}

function inOrder(packs: readonly PackInfo[], start: number): PackInfo[] {
  return packs.toSorted(
    (a, b) => distance(start, a) - distance(start, b) || Buffer.compare(a.packId, b.packId),
  );
}

/** From a position on around the ring to a pack. */
function distance(from: number, { packId }: PackInfo): number {
  return (ringPosition(packId) - from + RING) % RING;
}
