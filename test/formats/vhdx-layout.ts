/**
 * Where everything is in a VHDX file whose tables lie as Windows puts them, found from the bytes without the code under test,
 * and what each block of the disk holds.
 */
import { crc32c, guidFromBytes } from '../../src/base/index.ts';
import type { Extent } from '../../src/extents/index.ts';
import type { MutableImage, Seal } from './mutable-image.ts';

export const KIB = 1024;
export const MIB = 2 ** 20;
export const BLOCK_SIZE = 2 ** 20;

export const PLACES = {
  headers: [64 * KIB, 128 * KIB],
  regionTables: [192 * KIB, 256 * KIB],
  log: MIB,
  metadata: 2 * MIB,
  items: 2 * MIB + 64 * KIB,
  bat: 3 * MIB,
  payload: 4 * MIB,
} as const;

const ITEM_NAMES: Readonly<Record<string, string>> = {
  'caa16737-fa36-4d43-b3b6-33f0aa44e76b': 'file parameters',
  '2fa54224-cd1b-4876-b211-5dbed83bf4b8': 'virtual disk size',
  'beca12ab-b2e6-4523-93ef-c309e000c746': 'virtual disk id',
  '8141bf1d-a96f-4709-ba47-f233a8faab5f': 'logical sector size',
  'cda348c7-445d-4471-9cc9-e9885251c556': 'physical sector size',
  'a8d35f2d-b30b-454d-abf7-d3d84834ab0c': 'parent locator',
};

export interface Item {
  readonly name: string;
  /** Of its entry in the metadata table, and of its bytes. */
  readonly entryAt: number;
  readonly at: number;
  readonly length: number;
}

export function itemsOf(image: MutableImage): Item[] {
  const { bytes } = image;
  const count = bytes.readUInt16LE(PLACES.metadata + 10);
  return Array.from({ length: count }, (_, index) => {
    const entryAt = PLACES.metadata + 32 + 32 * index;
    const at = PLACES.metadata + bytes.readUInt32LE(entryAt + 16);
    const name = ITEM_NAMES[guidFromBytes(bytes, entryAt)]!;
    return { name, entryAt, at, length: bytes.readUInt32LE(entryAt + 20) };
  });
}

/** CRC-32C of `size` bytes at `at`, the field at byte 4 taken as zero. */
export const sealOf =
  (at: number, size: number): Seal =>
  (bytes) => {
    const structure = Buffer.from(bytes.subarray(at, at + size));
    structure.writeUInt32LE(0, 4);
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32LE(crc32c(structure));
    return { offset: at + 4, bytes: checksum };
  };

export interface BlockPlace {
  readonly block: number;
  readonly state: number;
  readonly fileOffset: number;
}

export function entryAt(index: number): number {
  return PLACES.bat + 8 * index;
}

export function placeOf(bytes: Buffer, block: number): BlockPlace {
  const entry = bytes.readBigUInt64LE(entryAt(block));
  return { block, state: Number(entry & 7n), fileOffset: Number(entry >> 20n) * MIB };
}

export const isInFile = (state: number): boolean => state === 6 || state === 7;

/** A disk of one chunk, in blocks of 1 MiB. */
export class DiskModel {
  readonly image: MutableImage;
  readonly size: number;
  readonly sectorSize: number;
  readonly isChild: boolean;
  readonly blocks: number;
  /** Of the chunk's sector bitmap. */
  readonly bitmapEntry: number;
  /** What the parent holds; zeros without one. */
  readonly below: Buffer;

  constructor(image: MutableImage, size: number, sectorSize: number, below?: Buffer) {
    this.image = image;
    this.size = size;
    this.sectorSize = sectorSize;
    this.isChild = below !== undefined;
    this.blocks = Math.ceil(size / BLOCK_SIZE);
    this.bitmapEntry = (2 ** 23 * sectorSize) / BLOCK_SIZE;
    this.below = below ?? Buffer.alloc(size);
  }

  range(block: number): Extent {
    const offset = block * BLOCK_SIZE;
    return { offset, length: Math.min(BLOCK_SIZE, this.size - offset) };
  }

  get places(): BlockPlace[] {
    return Array.from({ length: this.blocks }, (_, block) => placeOf(this.image.bytes, block));
  }

  get bitmap(): BlockPlace {
    return placeOf(this.image.bytes, this.bitmapEntry);
  }

  /** Whole MiB that something else than `entry` claims. */
  claimedWithout(entry: number): Set<number> {
    const claimed = new Set([0, 1, 2, 3]);
    for (const { block, state, fileOffset } of this.places) {
      if (block !== entry && isInFile(state)) claimed.add(fileOffset / MIB);
    }
    const { state, fileOffset } = this.bitmap;
    if (this.isChild && entry !== this.bitmapEntry && isInFile(state)) claimed.add(fileOffset / MIB);
    return claimed;
  }

  /** All of the disk, by the bytes the file has now. */
  get content(): Buffer {
    const content = Buffer.alloc(this.size);
    for (let block = 0; block < this.blocks; block += 1) {
      const { offset, length } = this.range(block);
      this.expect({ offset, length }, content.subarray(offset, offset + length));
    }
    return content;
  }

  /** What `window`, inside of one block, holds by the bytes the file has now. */
  expect(window: Extent, into: Buffer): void {
    const { state, fileOffset, block } = placeOf(this.image.bytes, Math.floor(window.offset / BLOCK_SIZE));
    const inBlock = window.offset - block * BLOCK_SIZE;
    const fromFile = (at: number, length: number, to: number): void => {
      this.image.bytes.copy(into, to, fileOffset + inBlock + at, fileOffset + inBlock + at + length);
    };
    const fromBelow = (at: number, length: number, to: number): void => {
      into.fill(0, to, to + length);
      this.below.copy(into, to, window.offset + at, window.offset + at + length);
    };
    if (state === 0) fromBelow(0, window.length, 0);
    else if (!isInFile(state)) into.fill(0, 0, window.length);
    else if (state === 6 || !this.isChild) fromFile(0, window.length, 0);
    else this.#bySectors(window, fromFile, fromBelow);
  }

  #bySectors(
    window: Extent,
    fromFile: (at: number, length: number, to: number) => void,
    fromBelow: (at: number, length: number, to: number) => void,
  ): void {
    const { fileOffset } = this.bitmap;
    for (let at = 0; at < window.length;) {
      const sector = Math.floor((window.offset + at) / this.sectorSize);
      const length = Math.min(window.length, (sector + 1) * this.sectorSize - window.offset) - at;
      const byte = this.image.bytes[fileOffset + Math.floor(sector / 8)]!;
      if (((byte >> (sector % 8)) & 1) === 1) fromFile(at, length, at);
      else fromBelow(at, length, at);
      at += length;
    }
  }
}
