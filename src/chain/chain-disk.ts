/**
 * A chain as a disk. For each range the leaf is asked first; what it leaves to its parent is asked of the parent, and so on
 * down, a layer at a time, so that the cost is one pass over each layer's tables. Every run that is contiguous in one file is
 * one read into the caller's buffer, in the order of the file.
 */
import { MiB, forEachBounded } from '../base/index.ts';
import {
  checkRange,
  InUse,
  type CallOptions,
  type Disk,
  type LocatedRun,
  type RangeReader,
} from '../disk/index.ts';
import { clip, coalesce, endOf, intersect, normalise, totalBytes, type Extent } from '../extents/index.ts';
import { mapLayers, type MapOptions, type MappedRun } from './chain-map.ts';
import {
  absentFromChainUntil,
  LayerRuns,
  type ChainLayer,
  type DataRun,
  type RunsOptions,
} from './layer-runs.ts';

/** Reads of one `read` under way at once. A fragmented block can hold thousands of runs. */
const READ_DEPTH = 8;
/** `allocated` looks at this much of the disk at a time: at worst 262144 alternating sectors. */
const WINDOW = 256 * MiB;

interface ChainRun extends DataRun {
  readonly reader: RangeReader;
}

/** What it is a disk of, its format adds. */
export abstract class ChainDisk implements Disk {
  readonly size: number;
  abstract readonly logicalSectorSize: number;
  readonly #layers: readonly ChainLayer[];
  readonly #use = new InUse();

  /** `layers` are open, leaf first, and belong to this disk from now on. */
  constructor(layers: readonly ChainLayer[]) {
    this.size = layers[0]!.size;
    this.#layers = layers;
  }

  read(offset: number, into: Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.#use.run(() => this.#fill(offset, into, options));
  }

  async #fill(offset: number, into: Uint8Array, options: CallOptions): Promise<void> {
    checkRange(offset, into.length, this.size);
    options.signal?.throwIfAborted();
    const runs = await this.#resolve(offset, offset + into.length, options);
    if (totalBytes(runs) < into.length) into.fill(0);
    const readRun = (run: ChainRun): Promise<void> =>
      run.reader.read(run.fileOffset, into.subarray(run.offset - offset, endOf(run) - offset), options);
    if (runs.length === 1) return readRun(runs[0]!);
    runs.sort((a, b) => a.fileOffset - b.fileOffset);
    await forEachBounded(runs, READ_DEPTH, readRun);
  }

  async located(within: Extent, options: CallOptions = {}): Promise<LocatedRun[] | undefined> {
    const runs: LocatedRun[] = [];
    for (const run of await this.#resolve(within.offset, endOf(within), options)) {
      const place = run.reader.locate?.(run.fileOffset, run.length);
      if (!place || this.#use.closed) return undefined;
      runs.push({ offset: run.offset, length: run.length, ...place });
    }
    return runs.sort((a, b) => a.offset - b.offset);
  }

  /** The disjoint runs that hold the data of `[start, end)`, layer by layer; what they leave out is zeros. */
  async #resolve(start: number, end: number, options: RunsOptions): Promise<ChainRun[]> {
    const found: ChainRun[] = [];
    let unresolved: readonly Extent[] = [{ offset: start, length: end - start }];
    for (const layer of this.#layers) {
      const runs = new LayerRuns();
      // Beyond the end of a smaller parent there is nothing but zeros.
      for (const range of clip(unresolved, layer.size)) {
        await layer.runs(range.offset, endOf(range), runs, options);
      }
      for (const run of runs.data) found.push({ ...run, reader: layer.reader });
      unresolved = runs.absent;
      if (unresolved.length === 0) break;
    }
    return found;
  }

  allocated(within?: Extent, options: CallOptions = {}): AsyncGenerator<Extent> {
    const whole = { offset: 0, length: this.size };
    const [range] = within ? intersect([whole], [within]) : [whole];
    return coalesce(this.#allocatedPieces(range ?? { offset: 0, length: 0 }, options));
  }

  async *#allocatedPieces(range: Extent, options: CallOptions): AsyncGenerator<Extent> {
    for (let at = range.offset; at < endOf(range);) {
      options.signal?.throwIfAborted();
      this.#use.check();
      const start = Math.max(at, absentFromChainUntil(this.#layers, at));
      at = Math.min(start + WINDOW, endOf(range));
      if (start < at) yield* normalise(await this.#resolve(start, at, { ...options, coarse: true }));
    }
  }

  /** Where every byte of the disk is, in the order of the disk; to be consumed while the disk is open. */
  map(options: MapOptions = {}): AsyncGenerator<MappedRun> {
    return mapLayers(this.#layers, options);
  }

  async close(): Promise<void> {
    if (await this.#use.end()) await Promise.all(this.#layers.map((layer) => layer.reader.close()));
  }
}
