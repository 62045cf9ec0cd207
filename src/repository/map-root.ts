/** The root of a disk's map, and the arithmetic of its tree. */
import { FAN_OUT, LEAF_SLOTS, SLOT_BYTES } from './format.ts';

export interface MapRoot {
  /** The topmost page, as hexadecimal id; null: the disk holds only zeros. */
  readonly id: string | null;
  /** Levels of pages, leaves included: at least 1. */
  readonly levels: number;
}

export function slotCount(sizeBytes: number): number {
  return Math.ceil(sizeBytes / SLOT_BYTES);
}

/** How many levels a disk of this size needs: 1 up to 256 MiB, 2 up to 64 GiB, 3 up to 16 TiB, 4 up to 4 PiB. */
export function levelsFor(sizeBytes: number): number {
  let levels = 1;
  for (let capacity = LEAF_SLOTS; capacity < slotCount(sizeBytes); capacity *= FAN_OUT) levels += 1;
  return levels;
}

/** Slots below one page of `level`. */
export function slotsBelow(level: number): number {
  return LEAF_SLOTS * FAN_OUT ** level;
}

export function emptyRoot(sizeBytes: number): MapRoot {
  return { id: null, levels: levelsFor(sizeBytes) };
}
