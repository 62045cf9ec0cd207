/**
 * Folding: a slot that increments have cut into many pieces becomes one chunk again when it is written in any case.
 *
 *   PATCHED(base, 9 extents) + this increment's cells ─► the whole slot, from source and repository ─► CHUNK
 *
 * A restore reads a slot piece by piece, each from the pack of another backup: after a year of scattered writes 16 times as many
 * reads as at first. Folding costs space, about twice what changed in the slot since it was last whole, so a backup does as much of
 * it as a budget allows. It is part of the ingest, hence of its session and its commit: there is nothing to be found again after a
 * crash, and no point is ever changed. Earlier points keep their pieces.
 */
import { fullMask, runsOf } from './cell-mask.ts';
import { entryOf, piecesOf, type Cell } from './slot.ts';

/** What a backup stores of a disk beyond what changed, for the sake of whole slots. */
export type FoldBudget =
  | 'off'
  | { readonly bytes: number }
  /** Of what changed. */
  | { readonly percent: number };

/** Reads that a restore saves from which on a slot is folded: eight pieces that become one. */
const SAVED_MIN = 7;

/** Would the slot be read in so many fewer pieces, if it was stored anew, that it is worth it? */
export function isWorthFolding(cells: readonly Cell[], slotLength: number): boolean {
  let filled = 0;
  for (const [index, cell] of cells.entries()) if (cell !== null) filled |= 1 << index;
  const now = piecesOf(entryOf(cells), slotLength).length;
  return now - runsOf(filled & fullMask(slotLength), slotLength, true).length >= SAVED_MIN;
}

/**
 * The budget of one disk in one backup. That a slot of which most changed is stored whole is paid from it too, so that what a
 * backup stores beyond what changed has one bound; it is never refused, though.
 */
export class FoldCredit {
  readonly #budget: FoldBudget;
  #changedBytes = 0;
  #spentBytes = 0;

  constructor(budget: FoldBudget) {
    this.#budget = budget;
  }

  get isOff(): boolean {
    return this.#budget === 'off';
  }

  /** Of a slot: what changed, and what is stored for it. */
  note(changedBytes: number, storedBytes: number): void {
    this.#changedBytes += changedBytes;
    this.#spentBytes += Math.max(0, storedBytes - changedBytes);
  }

  /** False: there is not so much left. */
  take(bytes: number): boolean {
    if (this.#spentBytes + bytes > this.#limit) return false;
    this.#spentBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#spentBytes -= bytes;
  }

  get #limit(): number {
    if (this.#budget === 'off') return 0;
    return 'bytes' in this.#budget ? this.#budget.bytes : (this.#changedBytes * this.#budget.percent) / 100;
  }
}
