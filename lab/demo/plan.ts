/** How large the demo is. Both plans run the same stages and prove the same; the small one is for tests and slow machines. */
import { GiB, MiB } from '../../src/base/index.ts';

export interface PlannedDisk {
  readonly name: string;
  /** Bytes of the virtual disk. */
  readonly size: number;
  /** Bytes of files put on it. */
  readonly fileBytes: number;
}

export interface DemoPlan {
  readonly disks: readonly PlannedDisk[];
  /** Where the partition begins that the guest's database writes to, on every disk; the file system lies before it. */
  readonly databaseOffset: number;
  /** Bytes of each database: its guest writes in no particular order, but not all over the disk. */
  readonly databaseBytes: number;
  /** Writes of 1 MiB that fill a part of the databases before the first backup. */
  readonly databaseWrites: number;
  /** Writes of 64 KiB a second while the full backup runs. */
  readonly writesPerSecond: number;
  /** Writes and trims of 64 KiB between the full backup and the first increment. */
  readonly laterWrites: number;
  /** Writes of 64 KiB, each alone in its neighbourhood, before the second increment. */
  readonly scatteredWrites: number;
  /** What the demo needs in the temporary folder at most. */
  readonly roomBytes: number;
}

export const FULL_PLAN: DemoPlan = {
  disks: [
    { name: 'system', size: 20 * GiB, fileBytes: 700 * MiB },
    { name: 'data', size: 4 * GiB, fileBytes: 260 * MiB },
  ],
  databaseOffset: GiB,
  databaseBytes: 512 * MiB,
  databaseWrites: 64,
  writesPerSecond: 200,
  laterWrites: 500,
  scatteredWrites: 400,
  roomBytes: 5 * GiB,
};

export const SMALL_PLAN: DemoPlan = {
  disks: [
    { name: 'system', size: 512 * MiB, fileBytes: 16 * MiB },
    { name: 'data', size: 160 * MiB, fileBytes: 4 * MiB },
  ],
  databaseOffset: 64 * MiB,
  databaseBytes: 32 * MiB,
  databaseWrites: 8,
  writesPerSecond: 200,
  laterWrites: 20,
  scatteredWrites: 50,
  roomBytes: 512 * MiB,
};
