/**
 * A dynamic VHD that is written in place.
 *
 *   write ── new block: at the end of the file, over the footer ── data … ── flush
 *
 * Before the first block is added, the footer's copy at the beginning is made good: it stands in while the end is in motion.
 * `flush` makes data and a footer behind it durable, and only then the bitmaps and the entries of the table that name the
 * data: a process or machine that dies in between leaves in each sector what was there or what was written.
 */
import { Mutex, isZero } from '../base/index.ts';
import type { CallOptions, LocalFile } from '../disk/index.ts';
import { nextBlockPlace } from './block-place.ts';
import type { BlockTable } from './block-table.ts';
import type { BlockLayout } from './dynamic-header.ts';
import type { Footer } from './footer.ts';
import { NO_BLOCK, SECTOR, checksumOf, footer as footerLayout } from './format.ts';
import { bitAt, runEnd } from './sector-bitmap.ts';
import { WritableFile } from './writable-file.ts';

export class DynamicFile extends WritableFile {
  readonly #table: BlockTable;
  readonly #tableOffset: number;
  readonly #footer: Uint8Array;
  readonly #fullBitmap: Uint8Array;
  /** Adding blocks and completing bitmaps, one at a time. */
  readonly #order = new Mutex();
  /** Byte n: block n was seen to have all its sectors in the file. */
  readonly #complete: Uint8Array;
  #fileEnd: number;
  #copyIsGood = false;
  /** Blocks whose entry, and blocks whose bitmap, is written by the next flush. */
  #added: number[] = [];
  #completed: number[] = [];

  constructor(file: LocalFile, footer: Footer, layout: BlockLayout, table: BlockTable) {
    super(file, footer.size);
    this.#table = table;
    this.#tableOffset = layout.tableOffset;
    this.#fullBitmap = new Uint8Array(table.bitmapSize).fill(0xff);
    this.#complete = new Uint8Array(table.blocks);
    this.#fileEnd = Math.max(footer.dataEnd, table.lastBlockEnd);
    this.#footer = new Uint8Array(footerLayout.size);
    footerLayout.write(this.#footer, footer.fields);
    const checksum = checksumOf(this.#footer, footerLayout.fields.checksum.offset);
    footerLayout.write(this.#footer, { checksum });
  }

  protected override async writeRange(
    offset: number,
    bytes: Uint8Array,
    options: CallOptions,
  ): Promise<void> {
    for (const { block, at, length } of this.#pieces(offset, bytes.length)) {
      options.signal?.throwIfAborted();
      const piece = bytes.subarray(at - offset, at - offset + length);
      if (!this.#has(block) && isZero(piece)) continue;
      await this.#order.run(() => this.#prepare(block));
      await this.file.write(this.#fileOffset(block, at), piece);
    }
  }

  protected override async zeroRange(offset: number, length: number, options: CallOptions): Promise<void> {
    for (const piece of this.#pieces(offset, length)) {
      options.signal?.throwIfAborted();
      if (!this.#has(piece.block)) continue;
      await this.#order.run(() => this.#prepare(piece.block));
      await this.file.zero(this.#fileOffset(piece.block, piece.at), piece.length, options);
    }
  }

  *#pieces(offset: number, length: number): Generator<{ block: number; at: number; length: number }> {
    const { blockSize } = this.#table;
    for (let at = offset; at < offset + length;) {
      const block = Math.floor(at / blockSize);
      const end = Math.min(offset + length, (block + 1) * blockSize);
      yield { block, at, length: end - at };
      at = end;
    }
  }

  #has(block: number): boolean {
    return this.#table.sectorOf(block) !== NO_BLOCK;
  }

  #fileOffset(block: number, at: number): number {
    return this.#table.dataOffset(block) + at - block * this.#table.blockSize;
  }

  /** Afterwards the block is in the file with all its sectors. */
  async #prepare(block: number): Promise<void> {
    if (this.#complete[block] === 1) return;
    if (this.#has(block)) await this.#completeBlock(block);
    else await this.#addBlock(block);
    this.#complete[block] = 1;
  }

  async #addBlock(block: number): Promise<void> {
    if (!this.#copyIsGood) {
      await this.file.write(0, this.#footer);
      await this.file.sync();
      this.#copyIsGood = true;
    }
    const place = nextBlockPlace(this.#fileEnd, this.#table.blockSize);
    await this.file.write(place.bitmapOffset, this.#fullBitmap);
    await this.file.extend(place.end);
    this.#fileEnd = place.end;
    this.#table.set(block, place.sector);
    this.#added.push(block);
  }

  /** Sectors that other writers left out of a block read as zeros; they become zeros in the file. */
  async #completeBlock(block: number): Promise<void> {
    const { bitmapSize, blockSize } = this.#table;
    const bitmap = new Uint8Array(bitmapSize);
    await this.file.read(this.#table.sectorOf(block) * SECTOR, bitmap);
    const sectors = Math.min(blockSize, this.size - block * blockSize) / SECTOR;
    const start = this.#table.dataOffset(block);
    let changed = false;
    for (let at = 0; at < sectors;) {
      const end = runEnd(bitmap, at, sectors);
      if (bitAt(bitmap, at) === 0) {
        await this.file.zero(start + at * SECTOR, (end - at) * SECTOR);
        changed = true;
      }
      at = end;
    }
    if (changed) this.#completed.push(block);
  }

  protected override flushTables(): Promise<void> {
    return this.#order.run(async () => {
      if (this.#added.length > 0) await this.file.write(this.#fileEnd, this.#footer);
      await this.file.sync();
      if (this.#added.length + this.#completed.length === 0) return;
      for (const block of this.#completed) {
        await this.file.write(this.#table.sectorOf(block) * SECTOR, this.#fullBitmap);
      }
      await this.#writeEntries();
      await this.file.sync();
      this.#added = [];
      this.#completed = [];
    });
  }

  /** Each sector of the table that changed, once. */
  async #writeEntries(): Promise<void> {
    const written = new Set<number>();
    for (const block of this.#added) {
      const { at, bytes } = this.#table.sectorBytes(block);
      if (written.has(at)) continue;
      written.add(at);
      await this.file.write(this.#tableOffset + at, bytes);
    }
  }
}
