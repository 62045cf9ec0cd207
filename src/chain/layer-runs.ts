/** What one file of a chain says of a range of the virtual disk. */
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { endOf, type Extent } from '../extents/index.ts';

/** A stretch of the virtual disk whose bytes are in one stretch of the file. */
export interface DataRun extends Extent {
  readonly fileOffset: number;
}

/** What a layer says of a range, each list sorted and coalesced. */
export class LayerRuns {
  readonly data: DataRun[] = [];
  /** Zeros that hide the parent. */
  readonly zeros: Extent[] = [];
  /** Whatever the parent holds; zeros without one. */
  readonly absent: Extent[] = [];

  addData(offset: number, length: number, fileOffset: number): void {
    const last = this.data.at(-1);
    const follows = last && endOf(last) === offset && last.fileOffset + last.length === fileOffset;
    if (follows) this.data[this.data.length - 1] = { ...last, length: last.length + length };
    else this.data.push({ offset, length, fileOffset });
  }

  addZeros(offset: number, length: number): void {
    extend(this.zeros, offset, length);
  }

  addAbsent(offset: number, length: number): void {
    extend(this.absent, offset, length);
  }
}

function extend(list: Extent[], offset: number, length: number): void {
  const last = list.at(-1);
  if (last && endOf(last) === offset) {
    list[list.length - 1] = { offset: last.offset, length: last.length + length };
  } else {
    list.push({ offset, length });
  }
}

export interface RunsOptions extends CallOptions {
  /** Zeros of a base may be counted as data where that saves a read: the caller asks where data may be, and reads none. */
  readonly coarse?: boolean;
}

/** One open file of a chain. */
export interface ChainLayer {
  readonly reader: RangeReader;
  /** Bytes of the virtual disk as this file has it; a child may be larger than its parent. */
  readonly size: number;
  /** Adds what this file says of `[start, end)`, which lies inside its virtual disk, to `runs`. */
  runs(start: number, end: number, runs: LayerRuns, options?: RunsOptions): Promise<void>;
  /** Where the stretch from `offset` on ends that is known to be absent without a read; `offset` when there is none. */
  absentUntil(offset: number): number;
}

/** Where the stretch from `offset` on ends that no file of a chain holds anything of, as far as that is known without a read. */
export function absentFromChainUntil(layers: readonly ChainLayer[], offset: number): number {
  // Whatever lies beyond the end of a file hides its parents.
  return Math.min(...layers.map((layer) => (offset < layer.size ? layer.absentUntil(offset) : Infinity)));
}
