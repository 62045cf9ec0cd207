/**
 * Folding: a slot that increments have cut into many pieces becomes one chunk again when it is written in any case.
 *
 *   PATCHED(base, 9 extents) + this increment's cells ─► the whole slot, from source and repository ─► CHUNK
 *
 * A restore reads a slot piece by piece, each from the pack of another backup: after a year of scattered writes 16 times as many
 * reads as at first. Folding costs space, about twice what changed in the slot since it was last whole, so a backup does as much of
 * it as a budget allows. It is part of the ingest, hence of its session and its commit: there is nothing to be found again after a
 * crash, and no point is ever changed. Earlier points keep their pieces.
 *
 * Without a backup, a fold is one more restore point: of the same content, a millisecond behind the one it was folded from, which
 * retention then counts no more. It reads nothing but the repository.
 */
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { Progress } from '../base/index.ts';
import type { Extent } from '../extents/index.ts';
import type { BlockMap } from './block-map.ts';
import { fullMask, runsOf } from './cell-mask.ts';
import { SLOT_BYTES } from './format.ts';
import { slotCount, type MapRoot } from './map-root.ts';
import { cellsOf, entryOf, piecesOf, type Cell } from './slot.ts';
import { slotLength } from './slot-plan.ts';

/** What a backup stores of a disk beyond what changed, for the sake of whole slots. */
export type FoldBudget =
  | 'off'
  | { readonly bytes: number }
  /** Of what changed. */
  | { readonly percent: number };

/** Reads that a restore saves from which on a slot is folded: eight pieces that become one. */
const SAVED_MIN = 7;

export interface FoldRequest extends CallOptions {
  readonly root: MapRoot;
  /** Bytes of the disk. */
  readonly size: number;
  /** What the disk holds: read only where it shrank since. */
  readonly reader: RangeReader;
  /** Stored for it at most, before compression. */
  readonly bytesMax: number;
  /** Advanced by the bytes of each slot that is folded. */
  readonly progress?: Progress;
}

/** What a restore of a disk reads. */
export interface FoldState {
  /** That hold anything. */
  readonly slots: number;
  /** Reads for them. */
  readonly pieces: number;
  readonly foldableSlots: number;
  /** What these slots hold: stored when they are folded. */
  readonly foldableBytes: number;
  /** Reads that there would be less. */
  readonly savedPieces: number;
}

/** Would the slot be read in so many fewer pieces, if it was stored anew, that it is worth it? */
export function isWorthFolding(cells: readonly Cell[], length: number): boolean {
  const { now, folded } = piecesFor(cells, length);
  return now - folded >= SAVED_MIN;
}

function piecesFor(
  cells: readonly Cell[],
  length: number,
): { readonly now: number; readonly folded: number } {
  let filled = 0;
  for (const [index, cell] of cells.entries()) if (cell !== null) filled |= 1 << index;
  const now = piecesOf(entryOf(cells), length).length;
  return { now, folded: runsOf(filled & fullMask(length), length, true).length };
}

/** Reads the map of the disk, and none of its content. */
export async function foldStateOf(
  map: BlockMap,
  { root, size, signal }: CallOptions & { readonly root: MapRoot; readonly size: number },
): Promise<FoldState> {
  const state = { slots: 0, pieces: 0, foldableSlots: 0, foldableBytes: 0, savedPieces: 0 };
  for await (const { slot, entry } of map.walk(root, 0, slotCount(size))) {
    signal?.throwIfAborted();
    const length = slotLength(slot, size);
    const { now, folded } = piecesFor(cellsOf(entry), length);
    state.slots += now > 0 ? 1 : 0;
    state.pieces += now;
    if (now - folded < SAVED_MIN) continue;
    state.foldableSlots += 1;
    state.foldableBytes += length;
    state.savedPieces += now - folded;
  }
  return state;
}

/** Those that are worth it. */
export async function* foldableSlots(map: BlockMap, root: MapRoot, size: number): AsyncGenerator<Extent> {
  for await (const { slot, entry } of map.walk(root, 0, slotCount(size))) {
    const length = slotLength(slot, size);
    if (isWorthFolding(cellsOf(entry), length)) yield { offset: slot * SLOT_BYTES, length };
  }
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
