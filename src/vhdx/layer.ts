/** One file of a chain: what it says about each byte of the virtual disk. */
import type { ChainLayer, LayerRuns } from '../chain/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { ENTRIES_PER_PAGE, fileOffsetAt, isPresent, stateAt, type BatGeometry } from './bat.ts';
import { BlockTable } from './block-table.ts';
import { inFile } from './faults.ts';
import { BLOCK } from './format.ts';
import { PAGE_SIZE, type Page, type PageCache } from './pages.ts';
import { runEnd, bitAt } from './sector-bitmap.ts';
import type { Structure } from './structure.ts';

export class Layer implements ChainLayer {
  readonly structure: Structure;
  readonly #table: BlockTable;

  private constructor(structure: Structure, table: BlockTable) {
    this.structure = structure;
    this.#table = table;
  }

  /** Reads and checks the block table. */
  static open(structure: Structure, cache: PageCache, options: CallOptions = {}): Promise<Layer> {
    return inFile(structure.path, async () => {
      const pages = cache.file(structure.reader);
      return new Layer(structure, await BlockTable.open(structure, pages, options));
    });
  }

  get reader(): RangeReader {
    return this.structure.reader;
  }

  get size(): number {
    return this.structure.metadata.size;
  }

  get #geometry(): BatGeometry {
    return this.#table.geometry;
  }

  async runs(start: number, end: number, runs: LayerRuns, options?: CallOptions): Promise<void> {
    const { blockSize } = this.#geometry;
    for (let at = start; at < end;) {
      const block = Math.floor(at / blockSize);
      const entry = this.#geometry.payloadEntry(block);
      if (this.#table.isEmptyPage(entry)) {
        const stop = Math.min(end, this.#pageEnd(entry));
        runs.addAbsent(at, stop - at);
        at = stop;
        continue;
      }
      const stop = Math.min(end, (block + 1) * blockSize);
      const page = await this.#page(this.#table.pageOf(entry), options);
      const state = stateAt(page, entry % ENTRIES_PER_PAGE);
      if (state === BLOCK.partiallyPresent && this.#geometry.hasParent) {
        const fileOffset = fileOffsetAt(page, entry % ENTRIES_PER_PAGE);
        await this.#partialRuns(block, at, stop, fileOffset, runs, options);
      } else if (isPresent(state)) {
        runs.addData(at, stop - at, fileOffsetAt(page, entry % ENTRIES_PER_PAGE) + (at - block * blockSize));
      } else if (state === BLOCK.notPresent) {
        runs.addAbsent(at, stop - at);
      } else {
        runs.addZeros(at, stop - at);
      }
      at = stop;
    }
  }

  absentUntil(offset: number): number {
    const entry = this.#geometry.payloadEntry(Math.floor(offset / this.#geometry.blockSize));
    return this.#table.isEmptyPage(entry) ? this.#pageEnd(entry) : offset;
  }

  async #partialRuns(
    block: number,
    start: number,
    end: number,
    fileOffset: number,
    runs: LayerRuns,
    options: CallOptions | undefined,
  ): Promise<void> {
    const { blockSize, sectorSize } = this.#geometry;
    const { bytes, firstBit } = await this.#bitmapOf(block, options);
    const blockStart = block * blockSize;
    const endSector = Math.ceil((end - blockStart) / sectorSize);
    let sector = Math.floor((start - blockStart) / sectorSize);
    for (let at = start; at < end;) {
      const stopSector = runEnd(bytes, firstBit + sector, firstBit + endSector) - firstBit;
      const stop = Math.min(end, blockStart + stopSector * sectorSize);
      if (bitAt(bytes, firstBit + sector) === 1) runs.addData(at, stop - at, fileOffset + at - blockStart);
      else runs.addAbsent(at, stop - at);
      at = stop;
      sector = stopSector;
    }
  }

  async #bitmapOf(
    block: number,
    options: CallOptions | undefined,
  ): Promise<{ bytes: Uint8Array; firstBit: number }> {
    const entry = this.#geometry.bitmapEntry(block);
    const page = await this.#page(this.#table.pageOf(entry), options);
    const offset = fileOffsetAt(page, entry % ENTRIES_PER_PAGE) + this.#geometry.bitmapOffset(block);
    const { bytes } = await this.#page(Math.floor(offset / PAGE_SIZE), options);
    return { bytes, firstBit: (offset % PAGE_SIZE) * 8 };
  }

  async #page(page: number, options: CallOptions | undefined): Promise<Page> {
    const { pages } = this.#table;
    return pages.peek(page) ?? (await pages.load(page, options));
  }

  /** Where on the virtual disk the page of `entry` ends. */
  #pageEnd(entry: number): number {
    const nextPage = (Math.floor(entry / ENTRIES_PER_PAGE) + 1) * ENTRIES_PER_PAGE;
    return this.#geometry.blockFrom(nextPage) * this.#geometry.blockSize;
  }
}
