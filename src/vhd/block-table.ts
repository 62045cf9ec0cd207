/**
 * The block table ("BAT"): for each block the sector of its bitmap, or that there is none.
 *
 * It is read and checked as a whole when the file is opened: every block inside the file, no two things at one place. It
 * stays in memory, 4 MiB for the largest disk in blocks of 2 MiB, but for pages without any block.
 */
import { KiB, mapOrdered } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { BlockLayout } from './dynamic-header.ts';
import { vhdFaults } from './faults.ts';
import { NO_BLOCK, SECTOR, bitmapSizeOf, dynamicHeader, footer as footerLayout } from './format.ts';
import type { Structure } from './structure.ts';

const PAGE_SIZE = 64 * KiB;
const ENTRIES_PER_PAGE = PAGE_SIZE / 4;
/** So many pages under way fill a network link. */
const READ_DEPTH = 8;
const EMPTY_PAGE = Buffer.alloc(PAGE_SIZE, 0xff);

export class BlockTable {
  readonly blockSize: number;
  readonly bitmapSize: number;
  readonly blocks: number;
  readonly #path: string;
  readonly #diskSize: number;
  /** Entries in the byte order of this machine; `undefined`: a page without blocks. */
  readonly #pages: (Uint32Array | undefined)[] = [];

  private constructor(path: string, layout: BlockLayout, diskSize: number) {
    this.#path = path;
    this.#diskSize = diskSize;
    this.blockSize = layout.blockSize;
    this.bitmapSize = bitmapSizeOf(layout.blockSize);
    this.blocks = layout.blocks;
  }

  /** Reads and checks the whole table. Faults: `VHD_BLOCK_PLACE`, `VHD_BLOCK_OVERLAP`. */
  static async open(structure: Structure, layout: BlockLayout, options: CallOptions): Promise<BlockTable> {
    const table = new BlockTable(structure.path, layout, structure.footer.size);
    const bytes = layout.blocks * 4;
    const starts = Array.from({ length: Math.ceil(bytes / PAGE_SIZE) }, (_, page) => page * PAGE_SIZE);
    const load = async (at: number): Promise<Buffer> => {
      const page = Buffer.alloc(Math.min(PAGE_SIZE, bytes - at));
      await structure.reader.read(layout.tableOffset + at, page, options);
      return page;
    };
    for await (const page of mapOrdered(starts, READ_DEPTH, load)) table.#addPage(page);
    table.#checkPlaces(layout, structure.footer.dataEnd);
    table.#checkOverlaps();
    return table;
  }

  /** The sector of the bitmap of `block`, or `NO_BLOCK`. */
  sectorOf(block: number): number {
    const page = this.#pages[Math.floor(block / ENTRIES_PER_PAGE)];
    return page ? page[block % ENTRIES_PER_PAGE]! : NO_BLOCK;
  }

  /** Where the bytes of `block` begin in the file; it must be there. */
  dataOffset(block: number): number {
    return this.sectorOf(block) * SECTOR + this.bitmapSize;
  }

  /** Where the room of the last block of the disk ends, which may be behind the end of the file; 0 without it. */
  get lastBlockEnd(): number {
    const last = this.blocks - 1;
    return this.sectorOf(last) === NO_BLOCK ? 0 : this.dataOffset(last) + this.blockSize;
  }

  /** `block`, or where the page without blocks ends that it lies in. */
  skipEmptyPage(block: number): number {
    const page = Math.floor(block / ENTRIES_PER_PAGE);
    return this.#pages[page] ? block : (page + 1) * ENTRIES_PER_PAGE;
  }

  set(block: number, sector: number): void {
    const index = Math.floor(block / ENTRIES_PER_PAGE);
    const page = (this.#pages[index] ??= new Uint32Array(ENTRIES_PER_PAGE).fill(NO_BLOCK));
    page[block % ENTRIES_PER_PAGE] = sector;
  }

  /** The bytes of the table's sector that holds the entry of `block`, as the file has them. */
  sectorBytes(block: number): { at: number; bytes: Uint8Array } {
    const first = Math.floor(block / 128) * 128;
    const bytes = Buffer.alloc(Math.min(128, this.blocks - first) * 4);
    for (let i = 0; i * 4 < bytes.length; i += 1) bytes.writeUInt32BE(this.sectorOf(first + i), i * 4);
    return { at: first * 4, bytes };
  }

  #addPage(page: Buffer): void {
    const empty = EMPTY_PAGE.compare(page, 0, page.length, 0, page.length) === 0;
    if (empty) {
      this.#pages.push(undefined);
      return;
    }
    const entries = new Uint32Array(ENTRIES_PER_PAGE).fill(NO_BLOCK);
    Buffer.from(entries.buffer).set(page.swap32());
    this.#pages.push(entries);
  }

  #checkPlaces(layout: BlockLayout, dataEnd: number): void {
    const tables = [
      { offset: 0, end: footerLayout.size },
      { offset: layout.headerOffset, end: layout.headerOffset + dynamicHeader.size },
      { offset: layout.tableOffset, end: layout.tableOffset + this.blocks * 4 },
    ];
    for (const block of this.#present()) {
      const offset = this.sectorOf(block) * SECTOR;
      const end = offset + this.#lengthOf(block);
      if (end > dataEnd || tables.some((table) => offset < table.end && end > table.offset)) {
        throw vhdFaults.blockPlace({ path: this.#path, block, offset });
      }
    }
  }

  /** All blocks in the order of the file: each must end before the next begins. */
  #checkOverlaps(): void {
    const sectors = Uint32Array.from(this.#present(), (block) => this.sectorOf(block)).sort();
    const pitch = (this.bitmapSize + this.blockSize) / SECTOR;
    for (let i = 1; i < sectors.length; i += 1) {
      if (sectors[i]! - sectors[i - 1]! < pitch) {
        throw vhdFaults.blockOverlap({ path: this.#path, offset: sectors[i]! * SECTOR });
      }
    }
  }

  /** Bytes that the file must have for `block`: of the last one only what is on the disk, which some writers cut. */
  #lengthOf(block: number): number {
    return this.bitmapSize + Math.min(this.blockSize, this.#diskSize - block * this.blockSize);
  }

  *#present(): Generator<number> {
    for (let block = 0; block < this.blocks; block += 1) {
      block = this.skipEmptyPage(block);
      if (block < this.blocks && this.sectorOf(block) !== NO_BLOCK) yield block;
    }
  }
}
