/**
 * Every byte of a VHDX file: MS-VHDX v6.0, little-endian throughout. docs/formats/vhdx.md shows the same tables with the
 * reasons, and a test holds the two together.
 *
 *   0        file identifier
 *   64 KiB   header 1      128 KiB  header 2          the valid one with the higher sequence number is current
 *   192 KiB  regions 1     256 KiB  regions 2         two copies of the same table
 *   >= 1 MiB log, BAT, metadata, payload blocks, sector bitmap blocks: on whole MiB, nothing overlaps
 */
import {
  KiB,
  MiB,
  TiB,
  ascii,
  crc32c,
  guid,
  raw,
  signature,
  struct,
  u16,
  u32,
  u64,
  u64big,
  type Struct,
  type StructOf,
} from '../base/index.ts';
import { vhdxFaults } from './faults.ts';

/** MS-VHDX 2.2.1. */
export const FILE_SIGNATURE = 'vhdxfile';
export const fileIdentifier = struct('File identifier', 64 * KiB, {
  signature: ascii(0, 8),
  /** UTF-16LE, informational, not always terminated. */
  creator: raw(8, 512),
});

/** MS-VHDX 2.2.2: the two headers; the valid one with the higher sequence number is current. */
export const HEADER_OFFSETS = [64 * KiB, 128 * KiB] as const;
export const HEADER_SIGNATURE = signature('head');
export const header = struct('Header', 4 * KiB, {
  signature: u32(0),
  checksum: u32(4),
  /** Not small in the field (8e16 was seen), so never a number. */
  sequenceNumber: u64big(8),
  fileWriteGuid: guid(16),
  dataWriteGuid: guid(32),
  logGuid: guid(48),
  logVersion: u16(64),
  version: u16(66),
  logLength: u32(68),
  logOffset: u64(72),
});
export type Header = StructOf<typeof header>;

/** MS-VHDX 2.2.3: two copies, each 64 KiB under one checksum. */
export const REGION_TABLE_OFFSETS = [192 * KiB, 256 * KiB] as const;
export const REGION_TABLE_SIZE = 64 * KiB;
export const REGION_SIGNATURE = signature('regi');
export const REGION_ENTRIES_MAX = 2047;
export const regionTableHeader = struct('Region table header', 16, {
  signature: u32(0),
  checksum: u32(4),
  entryCount: u32(8),
});
export const regionEntry = struct('Region table entry', 32, {
  guid: guid(0),
  fileOffset: u64(16),
  length: u32(24),
  /** Bit 0: a reader that does not know the region must not open the file. */
  flags: u32(28),
});
export const REGION = {
  bat: '2dc27766-f623-4200-9d64-115e9bfd4a08',
  metadata: '8b7ca206-4790-4b9a-b8fe-575f050f886e',
} as const;
/** Identifier, headers, region tables and the reserved rest. */
export const HEADER_AREA_SIZE = MiB;

/** MS-VHDX 2.3.1: the log is a ring of 4 KiB sectors. */
export const LOG_SECTOR = 4 * KiB;
export const LOG_ENTRY_SIGNATURE = signature('loge');
export const logEntryHeader = struct('Log entry header', 64, {
  signature: u32(0),
  checksum: u32(4),
  entryLength: u32(8),
  /** Offset inside the log of the oldest entry that still matters when this one is the newest. */
  tail: u32(12),
  sequenceNumber: u64big(16),
  descriptorCount: u32(24),
  logGuid: guid(32),
  flushedFileOffset: u64big(48),
  lastFileOffset: u64big(56),
});
export const DESCRIPTOR_SIZE = 32;
export const ZERO_SIGNATURE = signature('zero');
export const zeroDescriptor = struct('Zero descriptor', DESCRIPTOR_SIZE, {
  signature: u32(0),
  zeroLength: u64(8),
  fileOffset: u64(16),
  sequenceNumber: u64big(24),
});
export const DATA_DESCRIPTOR_SIGNATURE = signature('desc');
export const dataDescriptor = struct('Data descriptor', DESCRIPTOR_SIZE, {
  signature: u32(0),
  /** The last 4 and the first 8 bytes of the sector, whose places in the data sector hold sequence numbers. */
  trailingBytes: raw(4, 4),
  leadingBytes: raw(8, 8),
  fileOffset: u64(16),
  sequenceNumber: u64big(24),
});
export const DATA_SECTOR_SIGNATURE = signature('data');
export const dataSector = struct('Data sector', LOG_SECTOR, {
  signature: u32(0),
  sequenceHigh: u32(4),
  data: raw(8, 4084),
  sequenceLow: u32(4092),
});

/** MS-VHDX 2.5.1: one entry of the block allocation table. Bits 0-2 state, 3-19 reserved, 20-63 offset in MiB. */
export const BAT_ENTRY_SIZE = 8;
export const BLOCK = {
  notPresent: 0,
  undefined: 1,
  zero: 2,
  unmapped: 3,
  fullyPresent: 6,
  partiallyPresent: 7,
} as const;
/** Of a sector bitmap block; Microsoft's reader also takes 7 for present. */
export const BITMAP = { notPresent: 0, present: 6 } as const;
export const SECTOR_BITMAP_SIZE = MiB;

/** MS-VHDX 2.6.1. */
export const METADATA_TABLE_SIZE = 64 * KiB;
export const METADATA_SIGNATURE = 'metadata';
export const METADATA_ENTRIES_MAX = 2047;
export const USER_ITEMS_MAX = 1024;
export const METADATA_ITEM_SIZE_MAX = MiB;
export const metadataTableHeader = struct('Metadata table header', 32, {
  signature: ascii(0, 8),
  entryCount: u16(10),
});
export const metadataEntry = struct('Metadata table entry', 32, {
  itemId: guid(0),
  /** From the start of the region. */
  offset: u32(16),
  length: u32(20),
  flags: u32(24),
});
export const ITEM_IS_USER = 1;
export const ITEM_IS_VIRTUAL_DISK = 2;
export const ITEM_IS_REQUIRED = 4;

/** MS-VHDX 2.6.2; the last three are not in the public specification, but Microsoft's open reader knows them. */
export const ITEM = {
  fileParameters: 'caa16737-fa36-4d43-b3b6-33f0aa44e76b',
  virtualDiskSize: '2fa54224-cd1b-4876-b211-5dbed83bf4b8',
  virtualDiskId: 'beca12ab-b2e6-4523-93ef-c309e000c746',
  logicalSectorSize: '8141bf1d-a96f-4709-ba47-f233a8faab5f',
  physicalSectorSize: 'cda348c7-445d-4471-9cc9-e9885251c556',
  parentLocator: 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c',
  chsParameters: 'da02d7bc-3d3a-423c-ac88-2a36ab21479b',
  persistentMemoryLabels: '10e1ae8a-4b7e-4169-a40f-cd70de928393',
  /** Creation never finished. */
  incompleteFile: '71cc85f0-1b69-4e28-9558-c3bf83ae75d3',
} as const;
export const fileParameters = struct('File parameters', 8, { blockSize: u32(0), flags: u32(4) });
export const LEAVE_BLOCKS_ALLOCATED = 1;
export const HAS_PARENT = 2;
export const virtualDiskSize = struct('Virtual disk size', 8, { size: u64(0) });
export const virtualDiskId = struct('Virtual disk ID', 16, { id: guid(0) });
export const logicalSectorSize = struct('Logical sector size', 4, { size: u32(0) });
export const physicalSectorSize = struct('Physical sector size', 4, { size: u32(0) });
export const BLOCK_SIZE_MIN = MiB;
export const BLOCK_SIZE_MAX = 256 * MiB;
export const DISK_SIZE_MAX = 64 * TiB;

/** MS-VHDX 2.6.2.6. Keys and values are UTF-16LE without terminators. */
export const PARENT_LOCATOR_TYPE = 'b04aefb7-d19e-4a81-b789-25b8e9445913';
export const LOCATOR_ENTRIES_MAX = 256;
export const parentLocatorHeader = struct('Parent locator header', 20, {
  locatorType: guid(0),
  keyValueCount: u16(18),
});
export const parentLocatorEntry = struct('Parent locator entry', 12, {
  /** From the start of the item, as is `valueOffset`. */
  keyOffset: u32(0),
  valueOffset: u32(4),
  keyLength: u16(8),
  valueLength: u16(10),
});

/** Reads a structure of the file; a 64-bit number that no file can need is a fault, not a RangeError. */
export function parse<T>(layout: Struct<T>, bytes: Uint8Array, at = 0): StructOf<Struct<T>> {
  try {
    return layout.read(bytes, at);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw vhdxFaults.numberTooLarge({ structure: layout.name }, { cause: error });
  }
}

const NO_CHECKSUM = new Uint8Array(4);

/** CRC-32C over `bytes` with the checksum field, always at byte 4, taken as zero. */
export function checksumOf(bytes: Uint8Array): number {
  return crc32c(bytes.subarray(8), crc32c(NO_CHECKSUM, crc32c(bytes.subarray(0, 4))));
}
