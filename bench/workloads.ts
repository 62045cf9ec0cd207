/**
 * What guests write in a day, on images that are scaled down: the shares of the disk and the lengths of runs are those of real
 * servers, four fifths of the runs fall into one fifth of the disk. All of it is bytes that nothing compresses, so that what is
 * stored can be compared with what changed.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { KiB, MiB } from '../src/base/index.ts';
import { normalise, type Extent } from '../src/extents/index.ts';

export interface Workload {
  readonly name: string;
  /** Share of the disk that changes from one backup to the next. */
  readonly share: number;
  /** Cells of 64 KiB without a gap, in the mean. */
  readonly run: number;
}

export const WORKLOADS: readonly Workload[] = [
  { name: 'OLTP', share: 0.01, run: 1 },
  { name: 'mixed', share: 0.01, run: 3 },
  { name: 'file server', share: 0.01, run: 16 },
];

const CELL = 64 * KiB;

/** Where a day's changes lie; `random` gives numbers from 0 up to 1. */
export function changesOf({ share, run }: Workload, imageBytes: number, random: () => number): Extent[] {
  const cells = imageBytes / CELL;
  const extents: Extent[] = [];
  for (let changed = 0; changed < cells * share;) {
    const hot = random() < 0.8;
    const at = Math.floor(hot ? (random() * cells) / 5 : cells / 5 + random() * cells * 0.8);
    const length = Math.min(1 + Math.floor(random() * (2 * run - 1)), cells - at);
    extents.push({ offset: at * CELL, length: length * CELL });
    changed += length;
  }
  return normalise(extents);
}

export function writeRandom(path: string, extents: readonly Extent[], flags: 'w' | 'r+'): void {
  const file = openSync(path, flags);
  for (const { offset, length } of extents) {
    for (let at = 0; at < length; at += MiB)
      writeSync(file, randomFillSync(Buffer.alloc(Math.min(MiB, length - at))), 0, undefined, offset + at);
  }
  closeSync(file);
}

/** Always the same numbers: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
