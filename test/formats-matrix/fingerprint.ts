/**
 * What a disk holds, small enough to be compared between processes: a hash of each cell of 64 KiB that is not all zeros. Two
 * readers that differ anywhere differ here, and the first cell that differs says where to look.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { KiB, MiB, isZero } from '../../src/base/index.ts';
import type { Disk } from '../../src/disk/index.ts';
import type { Extent } from '../../src/extents/index.ts';

export const CELL = 64 * KiB;

export interface Fingerprint {
  /** Bytes of the virtual disk. */
  readonly size: number;
  /** Hashes by number of the cell. */
  readonly cells: Readonly<Record<string, string>>;
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

/**
 * Made of what `allocated` names and nothing else: data that it leaves out is missing here. `windows` are whole cells, the
 * last one as far as the disk goes.
 */
export async function fingerprintOf(disk: Disk, windows?: readonly Extent[]): Promise<Fingerprint> {
  const collected = new Cells(disk.size);
  for (const window of windows ?? [{ offset: 0, length: disk.size }]) {
    for await (const { offset, length } of disk.allocated(window)) {
      for (let at = offset; at < offset + length; at += MiB) {
        const bytes = Buffer.alloc(Math.min(MiB, offset + length - at), 0xee);
        await disk.read(at, bytes);
        collected.add(at, bytes);
      }
    }
  }
  return { size: disk.size, cells: collected.finish() };
}

/** The same of a raw file that holds the disk from `start` on. */
export async function fingerprintOfRaw(
  path: string,
  place: { readonly start: number; readonly size: number },
): Promise<Fingerprint> {
  await using file = await open(path);
  const collected = new Cells(place.size);
  const bytes = Buffer.alloc(MiB);
  for (let at = 0; ; at += MiB) {
    const { bytesRead } = await file.read(bytes, 0, MiB, at);
    if (bytesRead === 0) break;
    collected.add(place.start + at, bytes.subarray(0, bytesRead));
  }
  return { size: place.size, cells: collected.finish() };
}

/** Hashes cells from pieces that come in ascending order. */
class Cells {
  readonly #size: number;
  readonly #hashes: Record<string, string> = {};
  readonly #bytes = Buffer.alloc(CELL);
  #current = -1;

  constructor(size: number) {
    this.#size = size;
  }

  add(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const cell = Math.floor((offset + done) / CELL);
      const at = (offset + done) % CELL;
      const length = Math.min(CELL - at, bytes.length - done);
      if (cell !== this.#current) this.#turnTo(cell);
      this.#bytes.set(bytes.subarray(done, done + length), at);
      done += length;
    }
  }

  finish(): Record<string, string> {
    this.#turnTo(-1);
    return this.#hashes;
  }

  #turnTo(cell: number): void {
    if (this.#current >= 0) {
      const bytes = this.#bytes.subarray(0, Math.min(CELL, this.#size - this.#current * CELL));
      if (!isZero(bytes)) this.#hashes[this.#current] = hashOf(bytes);
    }
    this.#bytes.fill(0);
    this.#current = cell;
  }
}

/** Where `got` differs from `expected`, in words; `undefined` when nowhere. */
export function differenceOf(got: Fingerprint, expected: Fingerprint): string | undefined {
  if (got.size !== expected.size) return `the size is ${got.size} instead of ${expected.size}`;
  const numbers = new Set([...Object.keys(got.cells), ...Object.keys(expected.cells)]);
  const wrong = [...numbers].map(Number).filter((cell) => got.cells[cell] !== expected.cells[cell]);
  if (wrong.length === 0) return undefined;
  return `${wrong.length} cells of 64 KiB differ, the first at ${Math.min(...wrong) * CELL}`;
}

/** The cells of `whole` that lie in `windows`. */
export function within(whole: Fingerprint, windows: readonly Extent[] | undefined): Fingerprint {
  if (!windows) return whole;
  const inside = (cell: number): boolean =>
    windows.some(({ offset, length }) => cell * CELL >= offset && cell * CELL < offset + length);
  const cells = Object.entries(whole.cells).filter(([cell]) => inside(Number(cell)));
  return { size: whole.size, cells: Object.fromEntries(cells) };
}
