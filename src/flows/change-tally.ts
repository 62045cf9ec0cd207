/** Changed bytes by area, and the largest ranges: what is counted while the changes of one disk go by. */
import type { Extent } from '../extents/index.ts';
import type { DiskAreas, PlacedArea } from './disk-areas.ts';

/** More than a person reads. */
const REGIONS_MAX = 10;

export interface AreaKey {
  /** Number in the partition table; absent outside of partitions, and on a disk that is one volume. */
  readonly partition?: number;
  readonly area: string;
}

export interface Region extends Extent, AreaKey {}

export class ChangeTally {
  totalBytes = 0;
  readonly #areas = new Map<string, { readonly key: AreaKey; bytes: number }>();
  readonly #regions: Region[] = [];

  /** One range without a gap; it counts as a region of the area that has most of it. */
  async add(areas: DiskAreas, extent: Extent): Promise<void> {
    const own = new Map<string, { readonly key: AreaKey; bytes: number }>();
    for await (const piece of areas.pieces(extent)) {
      const key = keyOf(piece);
      count(this.#areas, key, piece.length);
      count(own, key, piece.length);
    }
    this.totalBytes += extent.length;
    const most = [...own.values()].reduce((a, b) => (b.bytes > a.bytes ? b : a));
    this.#keepLargest({ offset: extent.offset, length: extent.length, ...most.key });
  }

  bytesOf(key: AreaKey): number {
    return this.#areas.get(textOf(key))?.bytes ?? 0;
  }

  /** Largest first. */
  areas(): (AreaKey & { readonly bytes: number })[] {
    return [...this.#areas.values()]
      .map(({ key, bytes }) => ({ ...key, bytes }))
      .sort((a, b) => b.bytes - a.bytes);
  }

  /** Largest first. */
  regions(): readonly Region[] {
    return this.#regions;
  }

  #keepLargest(region: Region): void {
    const at = this.#regions.findIndex(({ length }) => length < region.length);
    if (at < 0 && this.#regions.length >= REGIONS_MAX) return;
    this.#regions.splice(at < 0 ? this.#regions.length : at, 0, region);
    if (this.#regions.length > REGIONS_MAX) this.#regions.pop();
  }
}

/** The middle one; of an even number the mean of the two in the middle. Undefined of none. */
export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length === 0) return undefined;
  if (!Number.isInteger(middle)) return sorted[Math.floor(middle)];
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function keyOf({ partition, area }: PlacedArea): AreaKey {
  return partition ? { partition: partition.number, area } : { area };
}

function textOf({ partition, area }: AreaKey): string {
  return `${partition ?? ''} ${area}`;
}

function count(
  areas: Map<string, { readonly key: AreaKey; bytes: number }>,
  key: AreaKey,
  bytes: number,
): void {
  const text = textOf(key);
  const found = areas.get(text);
  if (found) found.bytes += bytes;
  else areas.set(text, { key, bytes });
}
