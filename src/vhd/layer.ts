/** One file of a chain: which bytes of the virtual disk it holds, and where. */
import { forEachBounded } from '../base/index.ts';
import type { ChainLayer, LayerRuns, RunsOptions } from '../chain/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { Bitmap, BitmapCache } from './bitmap-cache.ts';
import { BlockTable } from './block-table.ts';
import { NO_BLOCK, SECTOR } from './format.ts';
import { bitAt, runEnd } from './sector-bitmap.ts';
import type { Structure } from './structure.ts';

/** Reads and checks the block table, if there is one. */
export async function openLayer(
  structure: Structure,
  cache: BitmapCache,
  options: CallOptions = {},
): Promise<Layer> {
  if (!structure.layout) return new FixedLayer(structure);
  return new BlockLayer(structure, await BlockTable.open(structure, structure.layout, options), cache);
}

export abstract class Layer implements ChainLayer {
  readonly structure: Structure;

  constructor(structure: Structure) {
    this.structure = structure;
  }

  get reader(): RangeReader {
    return this.structure.reader;
  }

  get size(): number {
    return this.structure.footer.size;
  }

  abstract runs(start: number, end: number, runs: LayerRuns, options?: RunsOptions): Promise<void>;
  abstract absentUntil(offset: number): number;
}

class FixedLayer extends Layer {
  async runs(start: number, end: number, runs: LayerRuns): Promise<void> {
    runs.addData(start, end - start, start);
  }

  absentUntil(offset: number): number {
    return offset;
  }
}

/** Bitmaps asked for at once: each is a read of its own, before its block. */
const BITMAP_DEPTH = 8;

class BlockLayer extends Layer {
  readonly #table: BlockTable;
  readonly #cache: BitmapCache;
  readonly #cacheKey: number;

  constructor(structure: Structure, table: BlockTable, cache: BitmapCache) {
    super(structure);
    this.#table = table;
    this.#cache = cache;
    this.#cacheKey = cache.newFile();
  }

  async runs(start: number, end: number, runs: LayerRuns, options: RunsOptions = {}): Promise<void> {
    const { blockSize } = this.#table;
    // What a child does not hold must be known to the sector; of a base, zeros may be called data.
    const wholeBlocks = options.coarse === true && !this.structure.parent;
    const bitmaps = wholeBlocks ? undefined : await this.#bitmapsOf(start, end, options);
    for (let at = start; at < end;) {
      const block = Math.floor(at / blockSize);
      const next = this.#table.skipEmptyPage(block);
      const stop = Math.min(end, Math.max(next, block + 1) * blockSize);
      if (next > block || this.#table.sectorOf(block) === NO_BLOCK) runs.addAbsent(at, stop - at);
      else this.#blockRuns(block, at, stop, bitmaps?.get(block) ?? 'full', runs);
      at = stop;
    }
  }

  absentUntil(offset: number): number {
    const block = Math.floor(offset / this.#table.blockSize);
    const next = this.#table.skipEmptyPage(block);
    return next > block ? next * this.#table.blockSize : offset;
  }

  #blockRuns(block: number, start: number, end: number, bitmap: Bitmap, runs: LayerRuns): void {
    const blockStart = block * this.#table.blockSize;
    const fileOffset = this.#table.dataOffset(block) - blockStart;
    if (bitmap === 'full') {
      runs.addData(start, end - start, fileOffset + start);
      return;
    }
    const endSector = Math.ceil((end - blockStart) / SECTOR);
    for (let at = start; at < end;) {
      const sector = Math.floor((at - blockStart) / SECTOR);
      const stop = Math.min(end, blockStart + runEnd(bitmap, sector, endSector) * SECTOR);
      if (bitAt(bitmap, sector) === 1) runs.addData(at, stop - at, fileOffset + at);
      else runs.addAbsent(at, stop - at);
      at = stop;
    }
  }

  /** The bitmaps of the blocks of a range that are there, several reads at once. */
  async #bitmapsOf(start: number, end: number, options: CallOptions): Promise<Map<number, Bitmap>> {
    const bitmaps = new Map<number, Bitmap>();
    const missing: number[] = [];
    const endBlock = Math.ceil(end / this.#table.blockSize);
    for (let block = Math.floor(start / this.#table.blockSize); block < endBlock; block += 1) {
      block = this.#table.skipEmptyPage(block);
      if (block >= endBlock || this.#table.sectorOf(block) === NO_BLOCK) continue;
      const known = this.#cache.get(this.#cacheKey + block);
      if (known === undefined) missing.push(block);
      else bitmaps.set(block, known);
    }
    await forEachBounded(missing, BITMAP_DEPTH, async (block) => {
      const bitmap = await this.#loadBitmap(block, options);
      this.#cache.put(this.#cacheKey + block, bitmap);
      bitmaps.set(block, bitmap);
    });
    return bitmaps;
  }

  async #loadBitmap(block: number, options: CallOptions): Promise<Bitmap> {
    const { blockSize } = this.#table;
    const sectors = Math.min(blockSize, this.size - block * blockSize) / SECTOR;
    const bytes = new Uint8Array(Math.ceil(sectors / 8));
    await this.reader.read(this.#table.sectorOf(block) * SECTOR, bytes, options);
    return bitAt(bytes, 0) === 1 && runEnd(bytes, 0, sectors) === sectors ? 'full' : bytes;
  }
}
