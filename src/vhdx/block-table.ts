/**
 * A file's block table, checked as a whole when the file is opened: every state known, every block inside the file, no two
 * things at the same place. What is read later can rely on it.
 */
import { MiB, isZero, mapOrdered } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import {
  BatGeometry,
  ENTRIES_PER_PAGE,
  entryDefect,
  fileOffsetAt,
  isBitmapPresent,
  isPresent,
  stateAt,
} from './bat.ts';
import { refuse, vhdxFaults, type Report } from './faults.ts';
import { FileSpace } from './file-space.ts';
import { BLOCK, HEADER_AREA_SIZE, SECTOR_BITMAP_SIZE } from './format.ts';
import { PAGE_SIZE, newPage, type Page, type PagedFile } from './pages.ts';
import type { Structure } from './structure.ts';

/** The table is read in whole MiB, as its region is sized; so many reads under way fill a network link. */
const SCAN_PIECE = MiB;
const SCAN_DEPTH = 4;

export class BlockTable {
  readonly geometry: BatGeometry;
  readonly pages: PagedFile;
  readonly space = new FileSpace();
  /** Page number in the file of the table's first page. */
  readonly #firstPage: number;
  readonly #pageCount: number;
  readonly #report: Report;
  /** Bit n: page n of the table holds only zeros, so all its blocks are not present and it need not be read. */
  readonly #empty: Uint8Array;

  private constructor(structure: Structure, pages: PagedFile, report: Report) {
    this.#report = report;
    const { bat } = structure.regions;
    this.geometry = new BatGeometry(structure.metadata);
    this.pages = pages;
    const needed = this.geometry.entries * 8;
    if (needed > bat.length) throw vhdxFaults.batTooSmall({ length: bat.length, needed });
    this.#firstPage = bat.fileOffset / PAGE_SIZE;
    this.#pageCount = Math.ceil(this.geometry.entries / ENTRIES_PER_PAGE);
    this.#empty = new Uint8Array(this.#pageCount);
  }

  /** Reads and checks the whole table; faults of one file without its path. What `report` lets pass is not in use. */
  static async open(
    structure: Structure,
    pages: PagedFile,
    options: CallOptions,
    report: Report = refuse,
  ): Promise<BlockTable> {
    const table = new BlockTable(structure, pages, report);
    table.#claimStructures(structure);
    await table.#scan(structure.reader, options);
    return table;
  }

  /** The page number in the file of the page that holds `entry`. */
  pageOf(entry: number): number {
    return this.#firstPage + Math.floor(entry / ENTRIES_PER_PAGE);
  }

  /** True when the page of `entry` was all zeros at open. */
  isEmptyPage(entry: number): boolean {
    return this.#empty[Math.floor(entry / ENTRIES_PER_PAGE)] === 1;
  }

  #claimStructures(structure: Structure): void {
    this.space.claim(0, HEADER_AREA_SIZE);
    if (structure.log) this.space.claim(structure.log.fileOffset, structure.log.length);
    for (const region of structure.regions.all) this.space.claim(region.fileOffset, region.length);
  }

  /**
   * Through a few buffers that are used again and again: the table of a disk of 64 TiB has 256 MiB. Where a sparse file holds
   * nothing it is not read.
   */
  async #scan(reader: RangeReader, options: CallOptions): Promise<void> {
    const tableBytes = this.#pageCount * PAGE_SIZE;
    const pieces = Array.from({ length: Math.ceil(tableBytes / SCAN_PIECE) }, (_, i) => i);
    const depth = Math.min(SCAN_DEPTH, pieces.length);
    const buffers = Array.from({ length: depth }, () => new Uint8Array(Math.min(SCAN_PIECE, tableBytes)));
    const holes = new Holes(reader);
    const load = async (index: number): Promise<Uint8Array | undefined> => {
      const length = Math.min(SCAN_PIECE, tableBytes - index * SCAN_PIECE);
      const offset = this.#firstPage * PAGE_SIZE + index * SCAN_PIECE;
      if (holes.has(offset, length)) return undefined;
      const buffer = buffers[index % depth]!.subarray(0, length);
      await reader.read(offset, buffer, options);
      return buffer;
    };
    const chunk = new ChunkCheck(this.geometry, this.#report);
    let page = 0;
    for await (const buffer of mapOrdered(pieces, depth, load)) {
      options.signal?.throwIfAborted();
      for (let at = 0; at < SCAN_PIECE && page < this.#pageCount; at += PAGE_SIZE) {
        const bytes = buffer?.subarray(at, at + PAGE_SIZE);
        if (!bytes || isZero(bytes)) this.#passPage(page, chunk);
        else this.#scanPage(bytes, page, reader.size, chunk);
        page += 1;
      }
    }
  }

  #passPage(index: number, chunk: ChunkCheck): void {
    this.#empty[index] = 1;
    chunk.passZeros((index + 1) * ENTRIES_PER_PAGE);
  }

  #scanPage(bytes: Uint8Array, index: number, fileSize: number, chunk: ChunkCheck): void {
    const first = index * ENTRIES_PER_PAGE;
    const page = newPage();
    page.bytes.set(bytes);
    this.pages.put(this.#firstPage + index, page);
    const count = Math.min(ENTRIES_PER_PAGE, this.geometry.entries - first);
    for (let i = 0; i < count; i += 1) this.#checkEntry(page, i, first + i, fileSize, chunk);
  }

  #checkEntry(page: Page, i: number, entry: number, fileSize: number, chunk: ChunkCheck): void {
    const block = this.geometry.payloadBlock(entry);
    const isBitmap = this.geometry.hasParent && this.geometry.isBitmapEntry(entry);
    if (block === undefined && !isBitmap) return;
    const defect = entryDefect(page, i, entry, isBitmap);
    if (defect) {
      this.#report(defect);
      return;
    }
    const state = stateAt(page, i);
    const offset = fileOffsetAt(page, i);
    if (block === undefined) {
      const present = isBitmapPresent(state);
      chunk.sawBitmap(present);
      if (present) this.#claimBlock(entry, offset, SECTOR_BITMAP_SIZE, fileSize);
    } else {
      if (state === BLOCK.partiallyPresent) chunk.sawPartial(block);
      if (isPresent(state)) this.#claimBlock(entry, offset, this.geometry.virtualLength(block), fileSize);
    }
  }

  /** `length` is the virtual part: old qemu left the last block of a file short. */
  #claimBlock(entry: number, offset: number, length: number, fileSize: number): void {
    if (offset < HEADER_AREA_SIZE || offset + length > fileSize) {
      this.#report(vhdxFaults.blockPlace({ entry, offset }));
    } else if (!this.space.claim(offset, length)) {
      this.#report(vhdxFaults.blockOverlap({ entry, offset }));
    }
  }
}

/** What a sparse file does not hold, asked in ascending order: once a run of data, not once a question. */
class Holes {
  readonly #reader: RangeReader;
  #data: Extent | undefined = { offset: 0, length: 0 };

  constructor(reader: RangeReader) {
    this.#reader = reader;
  }

  /** Whether all these bytes are known to be zeros of a hole. */
  has(offset: number, length: number): boolean {
    if (!this.#reader.nextData || offset + length > this.#reader.size) return false;
    if (this.#data && this.#data.offset + this.#data.length <= offset)
      this.#data = this.#reader.nextData(offset);
    return this.#data === undefined || this.#data.offset >= offset + length;
  }
}

/** A partly present block needs its chunk's bitmap, whose entry follows those of the chunk's blocks. */
class ChunkCheck {
  readonly #geometry: BatGeometry;
  readonly #report: Report;
  #partialBlock: number | undefined;

  constructor(geometry: BatGeometry, report: Report) {
    this.#geometry = geometry;
    this.#report = report;
  }

  sawPartial(block: number): void {
    if (this.#geometry.hasParent) this.#partialBlock = block;
  }

  sawBitmap(present: boolean): void {
    if (!present && this.#partialBlock !== undefined) {
      this.#report(vhdxFaults.bitmapMissing({ block: this.#partialBlock }));
    }
    this.#partialBlock = undefined;
  }

  /** A page of zeros ends before entry `end`; a bitmap whose entry is in it is not present. */
  passZeros(end: number): void {
    if (this.#partialBlock === undefined) return;
    if (this.#geometry.bitmapEntry(this.#partialBlock) < end) this.sawBitmap(false);
  }
}
