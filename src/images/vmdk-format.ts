/**
 * The hosted sparse VMDK extent, in the two forms written here: docs/formats/vmdk.md. All numbers are little-endian, and
 * places in the file are counted in sectors of 512 bytes. Source: VMware's Virtual Disk Format 5.0, and open-vmdk of VMware.
 */
import { KiB, signature, struct, u16, u32, u64, u64big, u8 } from '../base/index.ts';

export const VMDK_MAGIC = signature('KDMV');

export const sparseHeader = struct('VMDK sparse header', 512, {
  magic: u32(0),
  version: u32(4),
  flags: u32(8),
  capacity: u64(12),
  grainSize: u64(20),
  descriptorOffset: u64(28),
  descriptorSize: u64(36),
  tableEntries: u32(44),
  redundantDirectoryOffset: u64(48),
  directoryOffset: u64big(56),
  overhead: u64(64),
  uncleanShutdown: u8(72),
  singleEndLine: u8(73),
  nonEndLine: u8(74),
  doubleEndLine1: u8(75),
  doubleEndLine2: u8(76),
  compression: u16(77),
});

/** Stands before compressed grains (`size` is their length) and before metadata (`size` is 0, `type` says what follows). */
export const vmdkMarker = struct('VMDK marker', 512, { value: u64(0), size: u32(8), type: u32(12) });

/** Bytes of a marker before the data of a grain: the data begins where `type` would stand. */
export const GRAIN_MARKER_SIZE = 12;

export const MARKER = { endOfStream: 0, grainTable: 1, grainDirectory: 2, footer: 3 } as const;

/** The line ends are there to be looked at: a transfer as text would have changed them. */
export const FLAG_LINE_ENDS = 0x1;
export const FLAG_REDUNDANT_DIRECTORY = 0x2;
export const FLAG_COMPRESSED = 0x10000;
export const FLAG_MARKERS = 0x20000;
export const COMPRESSION_DEFLATE = 1;
/** Says that the grain directory is named by the footer. */
export const DIRECTORY_AT_END = 2n ** 64n - 1n;

export const SECTOR = 512;
/** The only grain and table that VMware's own library writes. */
export const GRAIN = 64 * KiB;
export const GRAIN_SECTORS = GRAIN / SECTOR;
export const TABLE_ENTRIES = 512;
export const ENTRY_SIZE = 4;
export const TABLE_SECTORS = (TABLE_ENTRIES * ENTRY_SIZE) / SECTOR;
/** What one grain table maps: 32 MiB. */
export const TABLE_SPAN = TABLE_ENTRIES * GRAIN;
export const DESCRIPTOR_SECTOR = 1;
export const DESCRIPTOR_SECTORS = 20;
/** A grain's place is a u32 of sectors. */
export const FILE_SECTORS_MAX = 2 ** 32 - 1;

/** The fields that every header has, whatever the form. */
export const HEADER_DEFAULTS = {
  magic: VMDK_MAGIC,
  grainSize: GRAIN_SECTORS,
  descriptorOffset: DESCRIPTOR_SECTOR,
  descriptorSize: DESCRIPTOR_SECTORS,
  tableEntries: TABLE_ENTRIES,
  singleEndLine: 0x0a,
  nonEndLine: 0x20,
  doubleEndLine1: 0x0d,
  doubleEndLine2: 0x0a,
} as const;

export function sectorsOf(bytes: number): number {
  return Math.ceil(bytes / SECTOR);
}

/** How many grain tables a disk has, and the sectors of a directory of them. */
export function directoryOf(size: number): { tables: number; sectors: number } {
  const tables = Math.ceil(size / TABLE_SPAN);
  return { tables, sectors: sectorsOf(tables * ENTRY_SIZE) };
}
