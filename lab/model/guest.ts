/**
 * What runs inside a VM: a cache of writes the disk has not seen yet, and scripted writers.
 *
 * A freeze by VSS flushes the cache before the disk is sealed; a crash-consistent checkpoint does not. So the two contents
 * differ, and a backup that claims the wrong level can be caught.
 */
import { KiB } from '../../src/base/index.ts';
import { Random } from './random.ts';

export interface GuestWrite {
  readonly diskId: string;
  readonly offset: number;
  /** `undefined`: a trim of `length` bytes. */
  readonly bytes?: Uint8Array;
  readonly length: number;
}

/** What a scripted writer does. Offsets are whole logical sectors. */
export interface GuestScript {
  readonly seed: number;
  /** Number of writes; a background writer without it goes on until it is stopped. */
  readonly writes?: number;
  /** Writes a second of a background writer; default 50. */
  readonly writesPerSecond?: number;
  /** Bytes of one write; default 64 KiB. */
  readonly writeBytes?: number;
  readonly pattern?: 'random' | 'sequential';
  /** Share of the writes that are trims; default 0. */
  readonly trims?: number;
  /** Share of the writes that stay in the guest's cache; default 0. */
  readonly cached?: number;
  /** Only this part of each disk is written; default all of it. */
  readonly within?: { readonly offset: number; readonly length: number };
}

export interface ScriptedDisk {
  readonly diskId: string;
  readonly size: number;
  readonly sectorSize: number;
}

export interface ScriptedWrite extends GuestWrite {
  readonly cached: boolean;
}

/** The writes of a script over the disks of a VM, in order; endless without `writes`. */
export function* scriptedWrites(
  script: GuestScript,
  disks: readonly ScriptedDisk[],
): Generator<ScriptedWrite> {
  const random = new Random(script.seed);
  const cursors = new Map<string, number>();
  for (let i = 0; i < (script.writes ?? Number.POSITIVE_INFINITY); i += 1) {
    const disk = disks[random.below(disks.length)]!;
    const range = rangeOf(script, disk);
    if (range.length <= 0) return;
    const length = Math.min(wholeSectors(script.writeBytes ?? 64 * KiB, disk), range.length);
    const offset = range.offset + nextOffset(script, random, cursors, disk, range.length - length);
    if (random.chance(script.trims ?? 0)) yield { diskId: disk.diskId, offset, length, cached: false };
    else {
      const bytes = random.bytes(length);
      yield { diskId: disk.diskId, offset, length, bytes, cached: random.chance(script.cached ?? 0) };
    }
  }
}

function rangeOf(script: GuestScript, disk: ScriptedDisk): { offset: number; length: number } {
  const within = script.within ?? { offset: 0, length: disk.size };
  const end = Math.min(within.offset + within.length, disk.size);
  const offset = Math.ceil(within.offset / disk.sectorSize) * disk.sectorSize;
  return { offset, length: Math.floor((end - offset) / disk.sectorSize) * disk.sectorSize };
}

function wholeSectors(bytes: number, disk: ScriptedDisk): number {
  return Math.max(1, Math.floor(bytes / disk.sectorSize)) * disk.sectorSize;
}

function nextOffset(
  script: GuestScript,
  random: Random,
  cursors: Map<string, number>,
  disk: ScriptedDisk,
  last: number,
): number {
  const sectors = last / disk.sectorSize + 1;
  if (script.pattern !== 'sequential') return random.below(sectors) * disk.sectorSize;
  const at = cursors.get(disk.diskId) ?? 0;
  cursors.set(
    disk.diskId,
    at >= last ? 0 : Math.min(last, at + wholeSectors(script.writeBytes ?? 64 * KiB, disk)),
  );
  return at;
}

/** Writes the guest has made and its disks have not seen. Bounded: beyond the limit the oldest must be written out. */
export class GuestCache {
  #pending: GuestWrite[] = [];

  get length(): number {
    return this.#pending.length;
  }

  add(write: GuestWrite): void {
    this.#pending.push(write);
  }

  /** What was to go to a disk that is gone, or beyond its new end, is lost. */
  drop(diskId: string, from = 0): void {
    this.#pending = this.#pending.filter(
      (write) => write.diskId !== diskId || write.offset + write.length <= from,
    );
  }

  /** Takes everything out, oldest first. */
  drain(): GuestWrite[] {
    const pending = this.#pending;
    this.#pending = [];
    return pending;
  }
}
