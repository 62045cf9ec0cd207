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
import { BAT_ENTRY_SIZE, BITMAP, SECTOR_BITMAP_SIZE } from './format.ts';
import type { LocalFile } from './local-file.ts';
import { PAGE_SIZE, type Page } from './pages.ts';
import { bitAt, runEnd, setBits } from './sector-bitmap.ts';

export interface Block {
  readonly state: number;
  readonly fileOffset: number;
}

export class EditableTable {
  readonly #table: BlockTable;
  readonly #allocator: Allocator;
  readonly #entries: DirtyPages;
  readonly #bitmaps: DirtyPages;

  constructor(file: LocalFile, table: BlockTable, allocator: Allocator) {
    this.#table = table;
    this.#allocator = allocator;
    this.#entries = new DirtyPages(file, table.pages);
    this.#bitmaps = new DirtyPages(file, table.pages);
  }

  get geometry(): BatGeometry {
    return this.#table.geometry;
  }

  /** Pages that a commit would write. */
  get dirtyPages(): number {
    return this.#entries.count + this.#bitmaps.count;
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
    this.#bitmaps.touch(number, page, (firstBit + from) / 8, (firstBit + to) / 8);
    const end = firstBit + this.geometry.virtualLength(block) / this.geometry.sectorSize;
    return bitAt(page.bytes, firstBit) === 1 && runEnd(page.bytes, firstBit, end) === end;
  }

  /** Marks all sectors of `block` as the parent's: bits of the block's earlier life may be left. */
  async clearSectors(block: number): Promise<void> {
    const { page, number, firstBit } = await this.#bitmapOf(block);
    const from = firstBit / 8;
    const to = from + this.geometry.sectorsPerBlock / 8;
    page.bytes.fill(0, from, to);
    this.#bitmaps.touch(number, page, from, to);
  }

  /** Writes bitmaps before the entries that make them count; `sync` makes durable what was written so far. */
  async commit(sync: () => Promise<void>): Promise<void> {
    if (this.#bitmaps.count > 0) {
      await this.#bitmaps.commit();
      await sync();
    }
    if (this.#entries.count > 0) {
      await this.#entries.commit();
      await sync();
    }
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
    const page = this.#bitmaps.peek(number) ?? (await this.#bitmaps.load(number));
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
    this.#entries.touch(this.#table.pageOf(entry), page, at, at + BAT_ENTRY_SIZE);
  }

  async #entryPage(entry: number): Promise<Page> {
    const number = this.#table.pageOf(entry);
    return this.#entries.peek(number) ?? (await this.#entries.load(number));
  }
}
