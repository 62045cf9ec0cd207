/**
 * Cylinders, heads and sectors: what a BIOS of 2003 made of a disk.
 *
 * The size of a VHD is its `currentSize`. The geometry rounds it down, by up to 2 MiB at 127 GiB, so a reader that trusts
 * it loses the end of the disk; only Virtual PC showed its guests no more than that.
 */
import { SECTOR } from './format.ts';

export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectorsPerTrack: number;
}

const CYLINDERS_MAX = 65535;
const LARGEST: Geometry = { cylinders: CYLINDERS_MAX, heads: 16, sectorsPerTrack: 255 };

/** Bytes of a disk of this geometry. */
export function geometrySize({ cylinders, heads, sectorsPerTrack }: Geometry): number {
  return cylinders * heads * sectorsPerTrack * SECTOR;
}

/** The geometry of a disk of `size` bytes: the appendix "CHS Calculation" of the specification. */
export function geometryOf(size: number): Geometry {
  const sectors = Math.min(Math.floor(size / SECTOR), geometrySize(LARGEST) / SECTOR);
  if (sectors >= CYLINDERS_MAX * 16 * 63) return tracksOf(sectors, 255, 16);
  const tracks = Math.floor(sectors / 17);
  const heads = Math.max(4, Math.ceil(tracks / 1024));
  if (heads <= 16 && tracks < heads * 1024) return tracksOf(sectors, 17, heads);
  const fits = Math.floor(sectors / 31) < 16 * 1024;
  return tracksOf(sectors, fits ? 31 : 63, 16);
}

function tracksOf(sectors: number, sectorsPerTrack: number, heads: number): Geometry {
  return { cylinders: Math.floor(sectors / sectorsPerTrack / heads), heads, sectorsPerTrack };
}
