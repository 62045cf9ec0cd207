/**
 * The block allocation table: state and place of each payload block and each sector bitmap block (MS-VHDX 2.5).
 *
 * After every chunk of payload entries (a chunk is what one 1 MiB sector bitmap covers: 2^23 sectors) stands the entry of
 * that chunk's bitmap block, also in files that have no bitmaps.
 */
import { MiB, type Fault } from '../base/index.ts';
import { vhdxFaults } from './faults.ts';
import { BAT_ENTRY_SIZE, BITMAP, BLOCK } from './format.ts';
import type { DiskShape } from './metadata.ts';
import { PAGE_SIZE, type Page } from './pages.ts';

/** Bits of one sector bitmap block. */
const SECTORS_PER_CHUNK = 2 ** 23;
export const ENTRIES_PER_PAGE = PAGE_SIZE / BAT_ENTRY_SIZE;

/** Where things are in the BAT of a disk of this shape. */
export class BatGeometry {
  readonly size: number;
  readonly blockSize: number;
  readonly sectorSize: number;
  readonly hasParent: boolean;
  readonly sectorsPerBlock: number;
  /** Payload blocks in a chunk. */
  readonly chunkRatio: number;
  readonly payloadBlocks: number;
  readonly entries: number;

  constructor(shape: DiskShape) {
    this.size = shape.size;
    this.blockSize = shape.blockSize;
    this.sectorSize = shape.logicalSectorSize;
    this.hasParent = shape.kind === 'differencing';
    this.sectorsPerBlock = this.blockSize / this.sectorSize;
    this.chunkRatio = SECTORS_PER_CHUNK / this.sectorsPerBlock;
    this.payloadBlocks = Math.ceil(this.size / this.blockSize);
    const chunks = Math.ceil(this.payloadBlocks / this.chunkRatio);
    this.entries = this.hasParent
      ? chunks * (this.chunkRatio + 1)
      : this.payloadBlocks + Math.floor((this.payloadBlocks - 1) / this.chunkRatio);
  }

  /** The entry of payload block `block`. */
  payloadEntry(block: number): number {
    return block + Math.floor(block / this.chunkRatio);
  }

  /** The entry of the bitmap that covers payload block `block`. */
  bitmapEntry(block: number): number {
    const chunk = Math.floor(block / this.chunkRatio);
    return (chunk + 1) * this.chunkRatio + chunk;
  }

  /** The payload block of `entry`, or `undefined` for a bitmap's entry and for entries beyond the disk's end. */
  payloadBlock(entry: number): number | undefined {
    if (this.isBitmapEntry(entry)) return undefined;
    const block = this.blockFrom(entry);
    return block < this.payloadBlocks ? block : undefined;
  }

  isBitmapEntry(entry: number): boolean {
    return entry % (this.chunkRatio + 1) === this.chunkRatio;
  }

  /** The first payload block whose entry is `entry` or later. */
  blockFrom(entry: number): number {
    const chunk = Math.floor(entry / (this.chunkRatio + 1));
    return chunk * this.chunkRatio + (entry % (this.chunkRatio + 1));
  }

  /** Bytes of the virtual disk in `block`: the last block may be shorter. */
  virtualLength(block: number): number {
    return Math.min(this.blockSize, this.size - block * this.blockSize);
  }

  /** Byte offset of the bits of `block` in its bitmap block; its bits never cross a 64 KiB page. */
  bitmapOffset(block: number): number {
    return ((block % this.chunkRatio) * this.sectorsPerBlock) / 8;
  }
}

/** Bits 0-2 of an entry. `index` is the entry's place in its page. */
export function stateAt(page: Page, index: number): number {
  return page.words[2 * index]! & 0b111;
}

/** Bits 20-63, in bytes. 44 bits of MiB exceed what a number holds only where a block lies outside any file. */
export function fileOffsetAt(page: Page, index: number): number {
  return (page.words[2 * index + 1]! * 4096 + (page.words[2 * index]! >>> 20)) * MiB;
}

export function setEntry(page: Page, index: number, state: number, fileOffset: number): void {
  const offsetMiB = fileOffset / MiB;
  page.words[2 * index] = (((offsetMiB % 4096) << 20) | state) >>> 0;
  page.words[2 * index + 1] = Math.floor(offsetMiB / 4096);
}

/** True for a payload state whose bytes are in the file. */
export function isPresent(state: number): boolean {
  return state === BLOCK.fullyPresent || state === BLOCK.partiallyPresent;
}

/** Microsoft's reader takes 7 for a present bitmap block as well, and so does this. */
export function isBitmapPresent(state: number): boolean {
  return state === BITMAP.present || state === BLOCK.partiallyPresent;
}

/** Why an entry cannot be; places are checked against the file by the layer that knows it. */
export function entryDefect(page: Page, index: number, entry: number, isBitmap: boolean): Fault | undefined {
  if ((page.words[2 * index]! & 0xffff8) !== 0) return vhdxFaults.batReservedBits({ entry });
  const state = stateAt(page, index);
  const known = isBitmap
    ? state === BITMAP.notPresent || isBitmapPresent(state)
    : state <= BLOCK.unmapped || isPresent(state);
  return known ? undefined : vhdxFaults.batState({ entry, state });
}
