/** What must be in a disk that a power cut left: of each sector what was flushed, or something that was written since. */
import { KiB } from '../base/index.ts';

/** xorshift32: the same states for the same seed. */
export function randomOf(seed: number): () => number {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/** The disk at a note: its content at the last flush, and what was done since. */
export interface Expected {
  readonly flushed: Buffer;
  readonly since: readonly Change[];
}

export interface Change {
  readonly offset: number;
  readonly length: number;
  readonly fill: number;
}

export function after({ flushed, since }: Expected): Buffer {
  const next = Buffer.from(flushed);
  for (const { offset, length, fill } of since) next.fill(fill, offset, offset + length);
  return next;
}

const SECTOR = 512;
/** Compared at once; what differs is looked at by sectors. */
const PIECE = 64 * KiB;
/** Where `got` is neither what was flushed nor what was written since; `undefined` when nowhere. */
export function wrongAt(got: Buffer, { flushed, since }: Expected): number | undefined {
  for (let start = 0; start < got.length; start += PIECE) {
    const end = Math.min(start + PIECE, got.length);
    if (got.compare(flushed, start, end, start, end) === 0) continue;
    for (let at = start; at < end; at += SECTOR) {
      if (!isOldOrNew(got, at, flushed, since)) return at;
    }
  }
  return undefined;
}

function isOldOrNew(got: Buffer, at: number, flushed: Buffer, since: readonly Change[]): boolean {
  if (got.compare(flushed, at, at + SECTOR, at, at + SECTOR) === 0) return true;
  const isUniform = got.compare(got, at + 1, at + SECTOR, at, at + SECTOR - 1) === 0;
  const written = ({ offset, length, fill }: Change): boolean =>
    got[at] === fill && at >= offset && at < offset + length;
  return isUniform && since.some(written);
}
