/**
 * Where the blocks of a new file go, and what its table says of them. Parts come in ascending order, so that a page of the
 * table and the bits of one chunk are all that is in memory: 64 TiB needs no more.
 */
import type { LocalFile } from '../disk/index.ts';
import type { BlockPart } from './block-edits.ts';
import { BlockTableWriter } from './block-table-writer.ts';
import { BLOCK, SECTOR_BITMAP_SIZE } from './format.ts';
import type { Layout } from './layout.ts';
import { setBits } from './sector-bitmap.ts';

export interface BlockRooms {
  /** Gives the block of `part` its room; where in the file it begins. */
  place(part: BlockPart): Promise<number>;
  /** Completes the table; where the file ends. */
  finish(): Promise<number>;
}

/** Every block has its room from the start, in the order of the disk. */
export class FixedRooms implements BlockRooms {
  readonly #file: LocalFile;
  readonly #layout: Layout;

  constructor(file: LocalFile, layout: Layout) {
    this.#file = file;
    this.#layout = layout;
  }

  place({ block }: BlockPart): Promise<number> {
    return Promise.resolve(this.#offsetOf(block));
  }

  async finish(): Promise<number> {
    const { payloadBlocks } = this.#layout.geometry;
    const table = new BlockTableWriter(this.#file, this.#layout);
    for (let block = 0; block < payloadBlocks; block += 1) {
      const full = table.place(block, this.#offsetOf(block));
      if (full) await full;
    }
    await table.finish();
    return this.#offsetOf(payloadBlocks);
  }

  #offsetOf(block: number): number {
    return this.#layout.payloadOffset + block * this.#layout.geometry.blockSize;
  }
}

/** A block gets the next room of the file when its first part comes. */
export class DynamicRooms implements BlockRooms {
  readonly #layout: Layout;
  readonly #table: BlockTableWriter;
  #block = -1;
  #offset = 0;
  #end: number;

  constructor(file: LocalFile, layout: Layout) {
    this.#layout = layout;
    this.#table = new BlockTableWriter(file, layout);
    this.#end = layout.payloadOffset;
  }

  async place({ block }: BlockPart): Promise<number> {
    if (block !== this.#block) {
      this.#block = block;
      this.#offset = this.#end;
      this.#end += this.#layout.geometry.blockSize;
      const full = this.#table.place(block, this.#offset);
      if (full) await full;
    }
    return this.#offset;
  }

  async finish(): Promise<number> {
    await this.#table.finish();
    return this.#end;
  }
}

/**
 * As dynamic, but a block that is placed in part shows its parent in the rest. Its state is known when the next block
 * begins; the bits of a chunk are written when the next chunk does, and only when one of its blocks needs them.
 */
export class ChildRooms implements BlockRooms {
  readonly #file: LocalFile;
  readonly #layout: Layout;
  readonly #table: BlockTableWriter;
  readonly #bits = new Uint8Array(SECTOR_BITMAP_SIZE);
  #bitsNeeded = false;
  #block = -1;
  #offset = 0;
  /** Bytes of the block that were placed. */
  #placed = 0;
  #end: number;

  constructor(file: LocalFile, layout: Layout) {
    this.#file = file;
    this.#layout = layout;
    this.#table = new BlockTableWriter(file, layout);
    this.#end = layout.payloadOffset;
  }

  async place(part: BlockPart): Promise<number> {
    const { geometry } = this.#layout;
    await this.#turnTo(part.block);
    if (this.#placed === 0) this.#offset = this.#take(geometry.blockSize);
    const firstBit = geometry.bitmapOffset(part.block) * 8;
    setBits(this.#bits, firstBit + part.from / geometry.sectorSize, firstBit + part.to / geometry.sectorSize);
    this.#placed += part.to - part.from;
    return this.#offset;
  }

  /** Hides the parent by zeros: a whole block by its state, a part by sectors of this file that nobody writes. */
  async zero(part: BlockPart): Promise<void> {
    if (!part.whole) return void (await this.place(part));
    await this.#turnTo(part.block);
    await this.#table.place(part.block, 0, BLOCK.zero);
  }

  async finish(): Promise<number> {
    await this.#endBlock();
    await this.#endChunk();
    await this.#table.finish();
    return this.#end;
  }

  async #turnTo(block: number): Promise<void> {
    if (block === this.#block) return;
    await this.#endBlock();
    if (this.#chunkOf(block) !== this.#chunkOf(this.#block)) await this.#endChunk();
    this.#block = block;
    this.#placed = 0;
  }

  async #endBlock(): Promise<void> {
    if (this.#placed === 0) return;
    const isWhole = this.#placed === this.#layout.geometry.virtualLength(this.#block);
    if (!isWhole) this.#bitsNeeded = true;
    const state = isWhole ? BLOCK.fullyPresent : BLOCK.partiallyPresent;
    await this.#table.place(this.#block, this.#offset, state);
  }

  async #endChunk(): Promise<void> {
    if (this.#bitsNeeded) {
      const fileOffset = this.#take(SECTOR_BITMAP_SIZE);
      await this.#file.write(fileOffset, this.#bits);
      await this.#table.placeBitmap(this.#block, fileOffset);
    }
    this.#bits.fill(0);
    this.#bitsNeeded = false;
  }

  #chunkOf(block: number): number {
    return Math.floor(block / this.#layout.geometry.chunkRatio);
  }

  #take(length: number): number {
    const fileOffset = this.#end;
    this.#end += length;
    return fileOffset;
  }
}
