/** Where everything is in a VHD that `built-vhd.fixture.ts` made, and what each sector of the disk is by the bytes of the file. */
import { endOf, type Extent } from '../../src/extents/index.ts';
import type { MutableImage, Seal } from './mutable-image.ts';

export const SECTOR = 512;
export const BLOCK_SIZE = 64 * 1024;
/** One sector for the 128 bits of a block of 64 KiB. */
export const BITMAP_SIZE = 512;
const PITCH = (BITMAP_SIZE + BLOCK_SIZE) / SECTOR;
export const ABSENT = 0xffffffff;
export const HEADER = 512;
export const TABLE = 1536;
/** Offsets worth a try. */
export const PLACES = [0, 512, 700, 1024, 1536, 2048, 65_536, 2 ** 31, 2 ** 32 - 1, 2n ** 53n, 2n ** 63n];

/** The one's complement of the sum of all bytes, the checksum's own taken as zero. */
export const sumSeal =
  (at: number, size: number, checksumAt: number): Seal =>
  (bytes) => {
    let sum = 0;
    for (let i = 0; i < size; i += 1) if (i < checksumAt || i >= checksumAt + 4) sum += bytes[at + i]!;
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(~sum >>> 0);
    return { offset: at + checksumAt, bytes: checksum };
  };

/** A disk in blocks of 64 KiB. */
export class VhdModel {
  readonly image: MutableImage;
  readonly size: number;
  readonly blocks: number;
  /** What the parent holds; zeros without one. */
  readonly below: Buffer;

  constructor(image: MutableImage, size: number, below: Buffer = Buffer.alloc(size)) {
    this.image = image;
    this.size = size;
    this.blocks = Math.ceil(size / BLOCK_SIZE);
    this.below = below;
  }

  /** Where the footer at the end begins. */
  get dataEnd(): number {
    return this.image.originalSize - SECTOR;
  }

  sectorOf(block: number): number {
    return this.image.bytes.readUInt32BE(TABLE + 4 * block);
  }

  range(block: number): Extent {
    const offset = block * BLOCK_SIZE;
    return { offset, length: Math.min(BLOCK_SIZE, this.size - offset) };
  }

  /** True when a block may lie at `sector` in place of `block`. */
  isFree(sector: number, block: number): boolean {
    const at = sector * SECTOR;
    const end = at + BITMAP_SIZE + this.range(block).length;
    if (at < TABLE + 4 * this.blocks || end > this.dataEnd) return false;
    return Array.from({ length: this.blocks }, (_, other) => other)
      .filter((other) => other !== block && this.sectorOf(other) !== ABSENT)
      .every((other) => Math.abs(this.sectorOf(other) - sector) >= PITCH);
  }

  /** All of the disk, by the bytes the file has now. */
  get content(): Buffer {
    const content = Buffer.alloc(this.size);
    this.expect({ offset: 0, length: this.size }, content);
    return content;
  }

  /** Sector by sector, by the bytes the file has now. */
  expect(window: Extent, into: Buffer): void {
    for (let at = window.offset; at < endOf(window);) {
      const next = Math.min(endOf(window), (Math.floor(at / SECTOR) + 1) * SECTOR);
      this.#sectorPart(at, into.subarray(at - window.offset, next - window.offset));
      at = next;
    }
  }

  #sectorPart(at: number, into: Buffer): void {
    const block = Math.floor(at / BLOCK_SIZE);
    const inBlock = at - block * BLOCK_SIZE;
    const start = this.sectorOf(block) * SECTOR;
    const sector = Math.floor(inBlock / SECTOR);
    const bits = start === ABSENT * SECTOR ? 0 : this.image.bytes[start + (sector >> 3)]!;
    into.fill(0);
    if (((bits >> (7 - (sector & 7))) & 1) === 0) this.below.copy(into, 0, at, at + into.length);
    else
      this.image.bytes.copy(
        into,
        0,
        start + BITMAP_SIZE + inBlock,
        start + BITMAP_SIZE + inBlock + into.length,
      );
  }
}
