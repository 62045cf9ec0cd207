/** An image that is read, as a disk: alone, or over the raw file below it. */
import { ChainDisk, type ChainLayer, type LayerRuns } from '../chain/index.ts';
import type { RangeReader } from '../disk/index.ts';
import { endOf } from '../extents/index.ts';
import { ClusterLayer, type ClusterTables } from './cluster-layer.ts';

export class ImageDisk extends ChainDisk {
  /** Neither qcow2 nor VMDK says another. */
  readonly logicalSectorSize = 512;

  /** The files belong to the disk from now on. */
  constructor(file: RangeReader, tables: ClusterTables, backing?: RangeReader) {
    super([new ClusterLayer(file, tables), ...(backing ? [new RawLayer(backing)] : [])]);
  }
}

class RawLayer implements ChainLayer {
  readonly reader: RangeReader;

  constructor(reader: RangeReader) {
    this.reader = reader;
  }

  get size(): number {
    return this.reader.size;
  }

  async runs(start: number, end: number, runs: LayerRuns): Promise<void> {
    for (let at = start; at < end;) {
      const data = this.#dataFrom(at, end);
      const from = Math.min(data?.offset ?? end, end);
      if (from > at) runs.addAbsent(at, from - at);
      at = data ? Math.min(Math.max(endOf(data), from), end) : end;
      if (at > from) runs.addData(from, at - from, from);
    }
  }

  absentUntil(offset: number): number {
    return this.#dataFrom(offset, this.size)?.offset ?? this.size;
  }

  #dataFrom(at: number, end: number): { readonly offset: number; readonly length: number } | undefined {
    return this.reader.nextData ? this.reader.nextData(at) : { offset: at, length: end - at };
  }
}
