/** Sets of cells of one slot, as 16-bit masks, and the rule for what is stored together. Bit 0 is the first cell. */
import { CELLS, CELL_BYTES } from './format.ts';

/** Cells stored as one chunk. */
export interface Run {
  readonly cell: number;
  readonly count: number;
}

export function cellCount(slotLength: number): number {
  return Math.ceil(slotLength / CELL_BYTES);
}

export function maskOf(run: Run): number {
  return ((1 << run.count) - 1) << run.cell;
}

export function bitCount(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** From 12 of 16 cells on, one chunk for the whole slot is cheaper to keep, to index and to read than pieces. */
export function isMostOf(mask: number, slotLength: number): boolean {
  return bitCount(mask) * 4 >= cellCount(slotLength) * 3;
}

/** The runs of cells to store: the whole slot as one when it is written anew and mostly not zeros, else each gapless run. */
export function runsOf(mask: number, slotLength: number, whole: boolean): Run[] {
  if (mask === 0) return [];
  if (whole && isMostOf(mask, slotLength)) return [{ cell: 0, count: cellCount(slotLength) }];
  return gaplessRuns(mask);
}

export function bytesOf(slot: Uint8Array, run: Run): Uint8Array {
  return slot.subarray(run.cell * CELL_BYTES, (run.cell + run.count) * CELL_BYTES);
}

/** All cells of a slot of this length. */
export function fullMask(slotLength: number): number {
  return (1 << cellCount(slotLength)) - 1;
}

/** Bytes of the cells, the last one of the disk with what it really has. */
export function maskBytes(mask: number, slotLength: number): number {
  const last = cellCount(slotLength) - 1;
  const missing = (mask >>> last) & 1 ? (last + 1) * CELL_BYTES - slotLength : 0;
  return bitCount(mask) * CELL_BYTES - missing;
}

/** The gapless runs of a mask. */
export function gaplessRuns(mask: number): Run[] {
  const runs: Run[] = [];
  for (let cell = 0; cell < CELLS; cell += 1) {
    if (((mask >>> cell) & 1) === 0) continue;
    let count = 1;
    while ((mask >>> (cell + count)) & 1) count += 1;
    runs.push({ cell, count });
    cell += count;
  }
  return runs;
}
