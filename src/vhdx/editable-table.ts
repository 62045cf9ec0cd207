/** The block table and the sector bitmaps of a file that is being written. Calls must not overlap: the file serialises them. */
import {
  ENTRIES_PER_PAGE,
  fileOffsetAt,
  isBitmapPresent,
  setEntry,
  stateAt,
  type BatGeometry,
} from './bat.ts';
import type { Allocator } from './allocator.ts';
import type { BlockTable } from './block-table.ts';
import { DirtyPages } from './dirty-pages.ts';
import { BAT_ENTRY_SIZE, BITMAP, BLOCK_SIZE_MAX, LOG_SECTOR, SECTOR_BITMAP_SIZE } from './format.ts';
import type { Journal } from './journal.ts';
import { PAGE_SIZE, type Page } from './pages.ts';
import { bitAt, runEnd, setBits } from './sector-bitmap.ts';

export interface Block {
  readonly state: number;
  readonly fileOffset: number;
}

/** What one change of one block touches at most: all bits of a block of 256 MiB, its entry, and that of its bitmap. */
const SECTORS_PER_CHANGE = BLOCK_SIZE_MAX / 512 / 8 / LOG_SECTOR + 2;

export class EditableTable {
  readonly #table: BlockTable;
  readonly #allocator: Allocator;
  readonly #journal: Journal;
  readonly #pages: DirtyPages;

  constructor(table: BlockTable, allocator: Allocator, journal: Journal) {
    this.#table = table;
    this.#allocator = allocator;
    this.#journal = journal;
    this.#pages = new DirtyPages(table.pages);
  }

  get geometry(): BatGeometry {
    return this.#table.geometry;
  }

  /** True when a commit must come before the next change: one commit is one entry of the log. */
  get isFull(): boolean {
    return this.#pages.sectorCount + SECTORS_PER_CHANGE > this.#journal.sectorsMax;
  }

  async block(block: number): Promise<Block> {
    return this.#entry(this.geometry.payloadEntry(block));
  }

  async setBlock(block: number, state: number, fileOffset: number): Promise<void> {
    await this.#setEntry(this.geometry.payloadEntry(block), state, fileOffset);
  }

  /** Marks the sectors `[from, to)` of `block` as in this file; true when all of the block's sectors now are. */
  async setSectors(block: number, from: number, to: number): Promise<boolean> {
    const { page, number, firstBit } = await this.#bitmapOf(block);
    setBits(page.bytes, firstBit + from, firstBit + to);
    this.#pages.touch(number, page, (firstBit + from) / 8, (firstBit + to) / 8);
    const end = firstBit + this.geometry.virtualLength(block) / this.geometry.sectorSize;
    return bitAt(page.bytes, firstBit) === 1 && runEnd(page.bytes, firstBit, end) === end;
  }

  /** Marks all sectors of `block` as the parent's: bits of the block's earlier life may be left. */
  async clearSectors(block: number): Promise<void> {
    const { page, number, firstBit } = await this.#bitmapOf(block);
    const from = firstBit / 8;
    const to = from + this.geometry.sectorsPerBlock / 8;
    page.bytes.fill(0, from, to);
    this.#pages.touch(number, page, from, to);
  }

  /** All changes since the last commit, or after a crash none. */
  commit(): Promise<void> {
    return this.#pages.commit(this.#journal);
  }

  async #bitmapOf(block: number): Promise<{ page: Page; number: number; firstBit: number }> {
    const entry = this.geometry.bitmapEntry(block);
    let { state, fileOffset } = await this.#entry(entry);
    if (!isBitmapPresent(state)) {
      ({ fileOffset } = await this.#allocator.append(SECTOR_BITMAP_SIZE));
      await this.#setEntry(entry, BITMAP.present, fileOffset);
    }
    const offset = fileOffset + this.geometry.bitmapOffset(block);
    const number = Math.floor(offset / PAGE_SIZE);
    const page = this.#pages.peek(number) ?? (await this.#pages.load(number));
    return { page, number, firstBit: (offset % PAGE_SIZE) * 8 };
  }

  async #entry(entry: number): Promise<Block> {
    const page = await this.#entryPage(entry);
    const index = entry % ENTRIES_PER_PAGE;
    return { state: stateAt(page, index), fileOffset: fileOffsetAt(page, index) };
  }

  async #setEntry(entry: number, state: number, fileOffset: number): Promise<void> {
    const page = await this.#entryPage(entry);
    const index = entry % ENTRIES_PER_PAGE;
    setEntry(page, index, state, fileOffset);
    const at = index * BAT_ENTRY_SIZE;
    this.#pages.touch(this.#table.pageOf(entry), page, at, at + BAT_ENTRY_SIZE);
  }

  async #entryPage(entry: number): Promise<Page> {
    const number = this.#table.pageOf(entry);
    return this.#pages.peek(number) ?? (await this.#pages.load(number));
  }
}
