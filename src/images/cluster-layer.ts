/**
 * An image that maps its disk by tables of clusters (qcow2, sparse VMDK), read: as a layer of a chain.
 *
 *   cluster of the disk ─► table ─► nothing │ zeros │ bytes of the file as they are │ bytes of the file, packed
 *
 * Tables are decoded and checked whole when one of their clusters is first asked for, and a few are kept. Packed clusters stand
 * at no place of the file that could be read; they are given places of their own, behind any file: see {@link PACKED}.
 */
import type { ChainLayer, LayerRuns, RunsOptions } from '../chain/index.ts';
import type { CallOptions, FilePlace, RangeReader } from '../disk/index.ts';

/** A table, decoded. Offsets are of the file; {@link ABSENT} and {@link ZEROS} are none. */
export interface ClusterTable {
  readonly offsets: Float64Array;
  /** Bytes that a packed cluster has in the file at most; 0 of one that is as it is. */
  readonly packed: Uint32Array;
}

/** Nothing is said of the cluster: it is what the backing file holds, zeros without one. */
export const ABSENT = 0;
/** The cluster reads as zeros whatever is below. */
export const ZEROS = -1;

/** What each format tells of itself. */
export interface ClusterTables {
  /** Bytes of the disk. */
  readonly size: number;
  readonly clusterSize: number;
  readonly clustersPerTable: number;
  readonly tables: number;
  /** Known without a read. */
  isEmpty(table: number): boolean;
  /** Reads and checks a table. Throws `IMAGE_DAMAGED`. */
  load(table: number): Promise<ClusterTable>;
  /** The content of a cluster, at least as many bytes as the disk has of it. Throws `IMAGE_DAMAGED`. */
  unpack(cluster: number, packed: Uint8Array): Uint8Array;
}

/** 24 MiB of the largest tables there are: 2 MiB of qcow2. */
const TABLES_KEPT = 8;
/** Added to an offset of the disk: the place of a packed cluster. No file is that long. */
const PACKED = 2 ** 52;

export class ClusterLayer implements ChainLayer {
  readonly reader: RangeReader;
  readonly size: number;
  readonly #tables: ClusterTables;
  readonly #kept: KeptTables;

  /** `file` belongs to the layer from now on. */
  constructor(file: RangeReader, tables: ClusterTables) {
    this.size = tables.size;
    this.#tables = tables;
    this.#kept = new KeptTables(tables);
    this.reader = new UnpackingReader(file, tables, this.#kept);
  }

  async runs(start: number, end: number, runs: LayerRuns, options: RunsOptions = {}): Promise<void> {
    const span = this.#tables.clusterSize * this.#tables.clustersPerTable;
    for (let at = start; at < end;) {
      options.signal?.throwIfAborted();
      const table = Math.floor(at / span);
      const stop = Math.min(end, (table + 1) * span);
      if (this.#tables.isEmpty(table)) runs.addAbsent(at, stop - at);
      else this.#tableRuns(await this.#kept.get(table), at, stop, runs);
      at = stop;
    }
  }

  absentUntil(offset: number): number {
    const { clusterSize, clustersPerTable, tables } = this.#tables;
    const span = clusterSize * clustersPerTable;
    let table = Math.floor(offset / span);
    if (!this.#tables.isEmpty(table)) return offset;
    while (table < tables && this.#tables.isEmpty(table)) table += 1;
    return table * span;
  }

  #tableRuns({ offsets, packed }: ClusterTable, start: number, end: number, runs: LayerRuns): void {
    const { clusterSize, clustersPerTable } = this.#tables;
    for (let at = start; at < end;) {
      const cluster = Math.floor(at / clusterSize);
      const stop = Math.min(end, (cluster + 1) * clusterSize);
      const place = offsets[cluster % clustersPerTable]!;
      if (place === ABSENT) runs.addAbsent(at, stop - at);
      else if (place === ZEROS) runs.addZeros(at, stop - at);
      else if (packed[cluster % clustersPerTable] !== 0) runs.addData(at, stop - at, PACKED + at);
      else runs.addData(at, stop - at, place + at - cluster * clusterSize);
      at = stop;
    }
  }
}

/** Tables by number, least recently used first. */
class KeptTables {
  readonly #tables: ClusterTables;
  readonly #kept = new Map<number, Promise<ClusterTable>>();

  constructor(tables: ClusterTables) {
    this.#tables = tables;
  }

  get(table: number): Promise<ClusterTable> {
    const found = this.#kept.get(table) ?? this.#tables.load(table);
    this.#kept.delete(table);
    this.#kept.set(table, found);
    found.catch(() => this.#kept.delete(table));
    if (this.#kept.size > TABLES_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    return found;
  }
}

/** The file, and behind it the packed clusters as what they hold. */
class UnpackingReader implements RangeReader {
  readonly #file: RangeReader;
  readonly #tables: ClusterTables;
  readonly #kept: KeptTables;

  constructor(file: RangeReader, tables: ClusterTables, kept: KeptTables) {
    this.#file = file;
    this.#tables = tables;
    this.#kept = kept;
  }

  get size(): number {
    return PACKED + this.#tables.size;
  }

  async read(offset: number, into: Uint8Array, options: CallOptions = {}): Promise<void> {
    if (offset < PACKED) return this.#file.read(offset, into, options);
    const { clusterSize } = this.#tables;
    for (let done = 0; done < into.length;) {
      const at = offset - PACKED + done;
      const cluster = Math.floor(at / clusterSize);
      const within = at - cluster * clusterSize;
      const length = Math.min(clusterSize - within, into.length - done);
      const content = await this.#content(cluster, options);
      into.set(content.subarray(within, within + length), done);
      done += length;
    }
  }

  locate(offset: number, length: number): FilePlace | undefined {
    return offset < PACKED ? this.#file.locate?.(offset, length) : undefined;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #content(cluster: number, options: CallOptions): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    const { clustersPerTable } = this.#tables;
    const { offsets, packed } = await this.#kept.get(Math.floor(cluster / clustersPerTable));
    const bytes = new Uint8Array(packed[cluster % clustersPerTable]!);
    await this.#file.read(offsets[cluster % clustersPerTable]!, bytes, options);
    return this.#tables.unpack(cluster, bytes);
  }
}
