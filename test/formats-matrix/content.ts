/** What goes into the images: strokes of noise at the places where readers err, and the disk that must come out. */
import { createHash } from 'node:crypto';
import { MiB } from '../../src/base/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { endOf, normalise, type Extent } from '../../src/extents/index.ts';
import { CELL } from './fingerprint.ts';

/** Noise that follows from `seed`: no two strokes are alike. */
export function noise(seed: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(seed).digest();
}

export interface DiskShape {
  readonly size: number;
  readonly blockSize: number;
  readonly sectorSize: number;
}

/** The first sectors, across the first edge of blocks, inside a block, and the last sectors; whole sectors, in order. */
export function strokesOf({ size, blockSize, sectorSize: sector }: DiskShape): Extent[] {
  const middle = Math.floor(size / 2 / blockSize) * blockSize + 37 * sector;
  return normalise(
    [
      { offset: 0, length: 3 * CELL + sector },
      { offset: blockSize - 5 * sector, length: 9 * sector },
      { offset: middle, length: 11 * sector },
      { offset: size - 2 * sector, length: 2 * sector },
    ].flatMap(({ offset, length }) => {
      const start = Math.max(0, offset);
      const end = Math.min(size, offset + length);
      return start < end ? [{ offset: start, length: end - start }] : [];
    }),
  );
}

/** A disk of noise where `strokes` say; what `write` must put into the image. */
export async function disk(size: number, strokes: readonly Extent[], seed: string): Promise<MemoryDisk> {
  const made = new MemoryDisk(size);
  for (const stroke of strokes) await made.write(stroke.offset, bytesOf(stroke, seed));
  return made;
}

export function bytesOf({ offset, length }: Extent, seed: string): Buffer {
  return noise(`${seed} at ${offset}`, length);
}

/** Smaller disks are compared whole. */
const WHOLE_MAX = 72 * MiB;

/** What of a disk is compared: all, or the cells with data, their neighbours, and both ends. */
export function windowsOf(content: MemoryDisk): Extent[] | undefined {
  const { size } = content;
  if (size <= WHOLE_MAX) return undefined;
  const last = Math.floor((size - 1) / CELL) * CELL;
  const around = [...content.allocated()].map(({ offset, length }) => {
    const start = Math.max(0, Math.floor(offset / CELL) - 1) * CELL;
    return { offset: start, length: (Math.ceil((offset + length) / CELL) + 1) * CELL - start };
  });
  const ends = [
    { offset: 0, length: CELL },
    { offset: last, length: CELL },
  ];
  return normalise([...around, ...ends]).map((window) => ({
    offset: window.offset,
    length: Math.min(endOf(window), size) - window.offset,
  }));
}
