/**
 * Targets: places that hold the disks of a replica.
 *
 *   prepare ──► openDisk … write, zero, flush … close ──► markOf
 *
 * A target knows disks and nothing of VMs, generations or journals: those are the flow's. It must take writes at any offset and
 * make them durable by `flush`. Nothing but what the caller writes ever goes onto its disks.
 */
import type { CallOptions, Disk, RangeWriter } from '../disk/index.ts';
import type { DiskSource } from '../machines/index.ts';

/** A disk as its target knows it. What is here stays the same for the life of the replica, but for the size. */
export interface TargetDiskSpec {
  /** VirtualDiskId. */
  readonly diskId: string;
  /** From 1, never given to another disk of the replica. */
  readonly number: number;
  /** A file name without its extension. */
  readonly name: string;
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly logicalSectorSize: number;
}

export interface PlannedTargetDisk extends TargetDiskSpec {
  /**
   * `ours`: it must be there; `begun`: a seed may have begun it; `new`: nothing may be there; `existing`: what is there may be
   * written over, and is gone on with.
   */
  readonly expected: 'ours' | 'begun' | 'new' | 'existing';
  /** What is going to be written to it, at most. */
  readonly neededBytes: number;
}

export interface TargetDisk extends Disk, RangeWriter {
  /** It is all zeros: just made, or known to hold no data. */
  readonly isNew: boolean;
  /**
   * Gives the place of the disk the size that the disk was opened with. Until then it keeps the size it had, so that an
   * earlier generation stays what it was; bytes behind its end read as zeros, and must not be written.
   */
  settleSize(options?: CallOptions): Promise<void>;
}

export interface Target {
  /** One spelling for one place. */
  readonly address: string;
  /** One line for people. */
  describe(): string;
  /**
   * Finds out before anything is written whether all `disks` can be held: any `TARGET_` fault. May be called again; makes
   * nothing.
   */
  prepare(disks: readonly PlannedTargetDisk[], options?: CallOptions): Promise<void>;
  /** Opens a disk, and makes it where it is not there. What it has may be closed at any time; it is gone on with. */
  openDisk(spec: TargetDiskSpec, options?: CallOptions): Promise<TargetDisk>;
  /** The name of the place of one disk, for people. */
  placeOf(spec: Pick<TargetDiskSpec, 'diskId' | 'number' | 'name'>): string;
  /** Where QEMU finds the disk, to read it below a clone. Throws `TARGET_NOT_READ_BY_QEMU`. Absent where it never could. */
  sourceOf?(spec: TargetDiskSpec): DiskSource;
  /** Earlier generations of a replica, by its id. Absent where the target keeps none. */
  historyOf?(owner: string): TargetHistory;
  /** Changes whenever anybody writes to the disk, which must be closed; absent where that cannot be told. */
  markOf?(spec: TargetDiskSpec): Promise<string | undefined>;
}

export interface KeptGeneration {
  readonly number: number;
  /** As it was given to `keep`. */
  readonly about: unknown;
}

/** Generations that stay although the disks go on: copies that share what did not change. */
export interface TargetHistory {
  /** Tries it. Throws `TARGET_NO_REFLINKS`. */
  check(): Promise<void>;
  /** Of the disks as they are, which must be closed. There, durably and whole, once it resolves; else not at all. */
  keep(number: number, disks: readonly TargetDiskSpec[], about: object): Promise<void>;
  /** Ascending. Throws `TARGET_HISTORY_UNREADABLE`. */
  list(): Promise<readonly KeptGeneration[]>;
  /** Where QEMU finds a disk of one that is kept. */
  sourceOf(number: number, spec: TargetDiskSpec): DiskSource;
  /** Puts a disk of one that is kept, as it was, in the place of the disk, which must be closed. Durable; may be done again. */
  bringBack(number: number, spec: TargetDiskSpec): Promise<void>;
  drop(number: number): Promise<void>;
}
