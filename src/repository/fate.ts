/**
 * What became of an object that could not be read at its place: a verification works beside collectors, and one that began before
 * it deletes while it reads.
 *
 *   its pack is there ───────────────────────────────────► damaged
 *   gone ─► index anew ─► it stands elsewhere ───────────► moved
 *                   ├───► its pack is named, not doomed ─► damaged: lost
 *                   └───► else ──────────────────────────► collected
 *
 * Everybody asks here, and the index is asked for another place last: whoever asks it again later may find what a writer has
 * stored anew since, and would take the old place for damage.
 */
import type { CallOptions } from '../disk/index.ts';
import { hexOf } from './format.ts';
import type { Location } from './object-index.ts';
import type { ObjectReader } from './object-reader.ts';
import type { ObjectPlace } from './segment-writer.ts';

/** A location: it moved there. */
export type Fate = 'damaged' | 'collected' | Location;

export interface FatesParts {
  readonly objects: ObjectReader;
  /** Is it being deleted, or was, as the newest epoch has it? */
  readonly isDoomed: (packId: Uint8Array) => Promise<boolean>;
}

export class Fates {
  readonly #parts: FatesParts;
  readonly #options: CallOptions;
  readonly #lost = new Map<string, Promise<boolean>>();

  constructor(parts: FatesParts, options: CallOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  async of(place: ObjectPlace): Promise<Fate> {
    const { objects } = this.#parts;
    if (!(await objects.isGone(place.packId, this.#options))) return 'damaged';
    const isLost = await this.isLost(place.packId);
    return (await objects.elsewhere(place)) ?? (isLost ? 'damaged' : 'collected');
  }

  /** A pack that is not there, though the index names it and no collector deleted it. */
  isLost(packId: Uint8Array): Promise<boolean> {
    const pack = hexOf(packId);
    const known = this.#lost.get(pack) ?? this.#ask(packId, pack);
    this.#lost.set(pack, known);
    return known;
  }

  /** First the epoch: a pack leaves its list of doomed ones when the index does not name it any more. */
  async #ask(packId: Uint8Array, pack: string): Promise<boolean> {
    const { objects, isDoomed } = this.#parts;
    if (!(await objects.isGone(packId, this.#options)) || (await isDoomed(packId))) return false;
    await objects.index.refresh(this.#options);
    return (await objects.index.packs()).some((each) => hexOf(each.packId) === pack);
  }
}
