/** Where the bytes of a disk file are: the runs of its chain, or of one of its files. */
import type { Extent } from '../extents/index.ts';
import type { MapOptions, MappedRun } from '../virtualdisk/index.ts';
import { flowFaults } from './faults.ts';
import { LocalDisk, type LocalDiskFile, type LocalDiskOptions } from './local-disk.ts';

/** A run of the disk. Offsets and lengths are bytes. */
export interface DiskRun extends Extent {
  /**
   * `data`: in the file `layer` at `fileOffset`; `zero`: the file says that it is zeros; `hole`: no file says anything, or,
   * in the map of one file, it leaves this to its parent.
   */
  readonly kind: MappedRun['kind'];
  /** Index into `files`. */
  readonly layer?: number;
  readonly fileOffset?: number;
}

export interface DiskMap {
  readonly virtualBytes: number;
  /** The disk's own file first, then its parents. */
  readonly files: readonly LocalDiskFile[];
  /** In the order of the disk; to be consumed once, while the map is open. */
  readonly runs: AsyncIterable<DiskRun>;
  /** Of the runs that were consumed. */
  readonly totals: RunTotals;
}

export type RunTotals = Readonly<Record<DiskRun['kind'], { bytes: number; runs: number }>>;

export interface DiskMapOptions extends LocalDiskOptions {
  /** Only what this file of the chain says, 0 being the disk's own. */
  readonly layer?: number;
}

/**
 * Opens the map of a disk for the time of `use`. Memory is bounded however large the disk. Faults: those of
 * {@link LocalDisk.open}, `FLOW_NO_SUCH_LAYER`, `FLOW_SOURCE_CHANGED` when `use` consumed all.
 */
export async function mapDisk<T>(
  path: string,
  options: DiskMapOptions,
  use: (map: DiskMap) => Promise<T>,
): Promise<T> {
  await using local = await LocalDisk.open(path, options);
  const { files } = local;
  const { layer } = options;
  if (layer !== undefined && layer >= files.length) {
    throw flowFaults.noSuchLayer({ path, layer, last: files.length - 1 });
  }
  const { runs, totals } = runsOf(local, options);
  const result = await use({ virtualBytes: local.disk.size, files, runs, totals });
  await local.checkUnchanged();
  return result;
}

/** The runs of an open disk, in its order. */
export function runsOf(
  { opened }: LocalDisk,
  { layer, signal }: MapOptions,
): Pick<DiskMap, 'runs' | 'totals'> {
  const totals = {
    data: { bytes: 0, runs: 0 },
    zero: { bytes: 0, runs: 0 },
    hole: { bytes: 0, runs: 0 },
  };
  const runs = opened.format === 'raw' ? oneRun(opened.disk.size) : opened.disk.map({ layer, signal });
  return { runs: counted(runs, totals), totals };
}

async function* counted(runs: AsyncIterable<DiskRun>, totals: RunTotals): AsyncGenerator<DiskRun> {
  for await (const run of runs) {
    const total = totals[run.kind];
    total.bytes += run.length;
    total.runs += 1;
    yield run;
  }
}

/** A raw disk holds all of itself; which of it the file system left out, it cannot say. */
async function* oneRun(size: number): AsyncGenerator<DiskRun> {
  yield { offset: 0, length: size, kind: 'data', layer: 0, fileOffset: 0 };
}
