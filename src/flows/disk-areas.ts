/**
 * What the guest keeps where on a disk: partition, file system, area.
 *
 * Volumes are opened when the first changed range in them is asked for. A partition that cannot be read, and one that turns out
 * to be damaged half-way, is one area of its own; the reason is kept.
 */
import { isFault } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import { endOf, type Extent } from '../extents/index.ts';
import {
  openVolume,
  readPartitions,
  type AreaPiece,
  type Partition,
  type PartitionTable,
  type Volume,
} from '../filesystems/index.ts';

/** A hostile table may name a thousand volumes, and each map takes up to 20 MiB. */
const VOLUMES_MAX = 16;
/** Of bytes in no partition: the table itself, gaps. */
export const OUTSIDE = 'outside of partitions';
/** Of a partition without a map. */
export const UNREAD = 'not read';

export interface PlacedArea extends AreaPiece {
  /** Absent outside of partitions, and on a disk that is one volume. */
  readonly partition?: Partition;
}

export interface ReadVolume extends Volume {
  readonly partition?: Partition;
  readonly label: string;
}

interface Place extends Extent {
  readonly partition?: Partition;
}

export class DiskAreas {
  readonly table: PartitionTable;
  readonly #disk: Disk;
  readonly #places: readonly Place[];
  readonly #options: CallOptions;
  readonly #volumes = new Map<Place, ReadVolume>();

  private constructor(disk: Disk, table: PartitionTable, options: CallOptions) {
    this.#disk = disk;
    this.#options = options;
    this.table = table;
    this.#places = table.kind === 'none' ? [{ offset: 0, length: disk.size }] : placesOf(table.partitions);
  }

  /** A table that cannot be read is none: the disk is then looked at as one volume. */
  static async open(disk: Disk, options: CallOptions): Promise<DiskAreas> {
    const none: PartitionTable = { kind: 'none', partitions: [] };
    const table = await readPartitions(disk, options).catch((error: unknown) => {
      if (isUnreadable(error)) return none;
      throw error;
    });
    return new DiskAreas(disk, table, options);
  }

  /** Those that were asked for, in the order of the disk. */
  get volumes(): readonly ReadVolume[] {
    return this.#places.flatMap((place) => this.#volumes.get(place) ?? []);
  }

  /** Cuts a range into pieces of one area each, ascending. */
  async *pieces(extent: Extent): AsyncGenerator<PlacedArea> {
    let at = extent.offset;
    for (const place of this.#places) {
      if (endOf(place) <= at) continue;
      if (place.offset >= endOf(extent)) break;
      if (place.offset > at) yield { offset: at, length: place.offset - at, area: OUTSIDE };
      at = Math.max(at, place.offset);
      const end = Math.min(endOf(place), endOf(extent));
      yield* this.#within(place, { offset: at, length: end - at });
      at = end;
    }
    if (at < endOf(extent)) yield { offset: at, length: endOf(extent) - at, area: OUTSIDE };
  }

  async *#within(place: Place, extent: Extent): AsyncGenerator<PlacedArea> {
    const named = place.partition ? { partition: place.partition } : {};
    const { map } = await this.#volume(place);
    let at = extent.offset;
    try {
      const local = { offset: extent.offset - place.offset, length: extent.length };
      for await (const piece of map?.pieces(local) ?? []) {
        const offset = place.offset + piece.offset;
        yield { ...named, offset, length: piece.length, area: piece.area };
        at = offset + piece.length;
      }
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#volumes.set(place, unread(place, error.message));
    }
    if (at < endOf(extent)) yield { ...named, offset: at, length: endOf(extent) - at, area: UNREAD };
  }

  async #volume(place: Place): Promise<ReadVolume> {
    const known = this.#volumes.get(place);
    if (known) return known;
    const volume =
      this.#volumes.size < VOLUMES_MAX
        ? await this.#open(place)
        : unread(place, 'the disk has too many volumes');
    this.#volumes.set(place, volume);
    return volume;
  }

  async #open(place: Place): Promise<ReadVolume> {
    try {
      const volume = await openVolume(this.#disk, place, this.#options);
      return { ...volume, label: volume.map?.label ?? '', ...partitionOf(place) };
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return unread(place, error.message);
    }
  }
}

/** What the guest wrote is wrong, or what the repository has of it is damaged: an explanation goes on without it. */
function isUnreadable(error: unknown): error is Error {
  return isFault(error) && (error.kind === 'corrupt' || error.code.startsWith('FILESYSTEM_'));
}

function unread(place: Place, reason: string): ReadVolume {
  return { fileSystem: 'unknown', label: '', unreadable: reason, ...partitionOf(place) };
}

function partitionOf({ partition }: Place): { partition?: Partition } {
  return partition ? { partition } : {};
}

/** Ascending, without overlap: of partitions that overlap, which only a hostile table has, the first keeps its bytes. */
function placesOf(partitions: readonly Partition[]): Place[] {
  const places: Place[] = [];
  for (const partition of partitions.toSorted((a, b) => a.offset - b.offset)) {
    const reached = places.at(-1);
    if (reached && partition.offset < endOf(reached)) continue;
    places.push({ offset: partition.offset, length: partition.length, partition });
  }
  return places;
}
