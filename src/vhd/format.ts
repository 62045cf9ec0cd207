/**
 * Every byte of a VHD file: Microsoft's "Virtual Hard Disk Image Format Specification" 1.0 of 2006, big-endian throughout.
 * docs/formats/vhd.md shows the same tables with the reasons, and a test holds the two together.
 *
 *   fixed                        dynamic, differencing
 *   0     the disk               0      copy of the footer
 *   end   footer                 512    dynamic header, wherever the footer says
 *                                1536   block table, wherever the header says
 *                                …      blocks, each behind its sector bitmap; texts that name the parent
 *                                end    footer
 */
import {
  GiB,
  KiB,
  MiB,
  ascii,
  raw,
  struct,
  u16,
  u32,
  u64,
  u64big,
  u8,
  type Field,
  type Struct,
  type StructOf,
} from '../base/index.ts';
import { vhdFaults } from './faults.ts';

export const SECTOR = 512;

/** Identifiers are plain big-endian here, unlike the GUIDs of VHDX. */
const uuid = (offset: number): Field<string> => ({
  offset,
  size: 16,
  get: (view, at) => uuidText(new Uint8Array(view.buffer, view.byteOffset + at, 16)),
  set: (view, at, _le, value) => {
    Buffer.from(value.replaceAll('-', ''), 'hex').copy(new Uint8Array(view.buffer, view.byteOffset + at, 16));
  },
});

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  return [0, 8, 12, 16, 20].map((at, i, all) => hex.slice(at, all[i + 1])).join('-');
}

export const FOOTER_COOKIE = 'conectix';
export const footer = struct(
  'Footer',
  512,
  {
    cookie: ascii(0, 8),
    /** Bit 1 is always set. */
    features: u32(8),
    version: u32(12),
    /** Of the dynamic header; all ones in a fixed disk. */
    dataOffset: u64big(16),
    /** Seconds since 2000-01-01 UTC. */
    timestamp: u32(24),
    creatorApplication: ascii(28, 4),
    creatorVersion: u32(32),
    creatorHostOs: ascii(36, 4),
    originalSize: u64big(40),
    currentSize: u64(48),
    cylinders: u16(56),
    heads: u8(58),
    sectorsPerTrack: u8(59),
    diskType: u32(60),
    checksum: u32(64),
    uniqueId: uuid(68),
    savedState: u8(84),
  },
  'big',
);
export type FooterFields = StructOf<typeof footer>;
/** Virtual PC before 2004 left the last byte of the footer at the end out. */
export const SHORT_FOOTER_SIZE = 511;
export const FEATURES_ALWAYS = 2;
export const FORMAT_VERSION = 0x00010000;
export const NO_OFFSET = 0xffffffffffffffffn;
export const DISK_TYPE = { fixed: 2, dynamic: 3, differencing: 4 } as const;
/** 2000-01-01 UTC in milliseconds of JavaScript. */
export const TIMESTAMP_EPOCH = Date.UTC(2000, 0, 1);

export const DYNAMIC_COOKIE = 'cxsparse';
export const dynamicHeader = struct(
  'Dynamic header',
  1024,
  {
    cookie: ascii(0, 8),
    dataOffset: u64big(8),
    tableOffset: u64(16),
    headerVersion: u32(24),
    maxTableEntries: u32(28),
    blockSize: u32(32),
    checksum: u32(36),
    parentUniqueId: uuid(40),
    parentTimestamp: u32(56),
    /** UTF-16, big-endian, unlike the texts of the locators. */
    parentName: raw(64, 512),
    parentLocators: raw(576, 192),
  },
  'big',
);
export type DynamicHeader = StructOf<typeof dynamicHeader>;

export const LOCATOR_COUNT = 8;
export const parentLocator = struct(
  'Parent locator',
  24,
  {
    platformCode: ascii(0, 4),
    /** Sectors by the specification, bytes in files of Windows 10: not looked at. */
    platformDataSpace: u32(4),
    platformDataLength: u32(8),
    platformDataOffset: u64(16),
  },
  'big',
);
/** A Windows path has at most 32767 characters. */
export const LOCATOR_TEXT_MAX = 64 * KiB;

/** An entry of the block table is the sector of the block's bitmap; this one says that there is no block. */
export const NO_BLOCK = 0xffffffff;
export const BLOCK_SIZE_MIN = 64 * KiB;
export const BLOCK_SIZE_MAX = 256 * MiB;
export const DISK_SIZE_MAX = 2040 * GiB;
/** Of the largest disk in the smallest blocks Windows makes, 512 KiB: a table of 16 MiB, which is held in memory. */
export const TABLE_ENTRIES_MAX = DISK_SIZE_MAX / (512 * KiB);

/** Bytes of the bitmap before each block: one bit a sector, in whole sectors. */
export function bitmapSizeOf(blockSize: number): number {
  return Math.ceil(blockSize / SECTOR / 8 / SECTOR) * SECTOR;
}

/** Reads a structure of the file; a 64-bit number that no file can need is a fault, not a RangeError. */
export function parse<T>(layout: Struct<T>, bytes: Uint8Array, path: string, at = 0): StructOf<Struct<T>> {
  try {
    return layout.read(bytes, at);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw vhdFaults.numberTooLarge({ path, structure: layout.name }, { cause: error });
  }
}

/** The one's complement of the sum of all bytes, those of the checksum itself (4 at `checksumAt`) taken as zero. */
export function checksumOf(bytes: Uint8Array, checksumAt: number): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  for (const byte of bytes.subarray(checksumAt, checksumAt + 4)) sum -= byte;
  return ~sum >>> 0;
}

/** True when the checksum of a footer or dynamic header holds. */
export function isSealed(layout: typeof footer | typeof dynamicHeader, bytes: Uint8Array): boolean {
  const at = layout.fields.checksum.offset;
  return Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32BE(at) === checksumOf(bytes, at);
}
