/**
 * The structures of partition tables and file systems that are read, and no field more. All little-endian.
 *
 * UEFI 2.10 §5 (GPT); the kernel's Documentation/filesystems/ext4 (ext4); NTFS as its open drivers describe it.
 */
import { ascii, guid, raw, struct, u16, u32, u64, u8 } from '../base/index.ts';

export const mbrEntry = struct('MBR entry', 16, { type: u8(4), firstSector: u32(8), sectors: u32(12) });
export const MBR_ENTRIES_OFFSET = 446;
export const MBR_SIGNATURE_OFFSET = 510;
export const MBR_SIGNATURE = 0xaa55;

export const gptHeader = struct('GPT header', 92, {
  signature: ascii(0, 8),
  entriesSector: u64(72),
  entryCount: u32(80),
  entryBytes: u32(84),
});
export const gptEntry = struct('GPT entry', 128, {
  type: guid(0),
  firstSector: u64(32),
  lastSector: u64(40),
  name: raw(56, 72),
});

export const ext4Superblock = struct('ext4 superblock', 1024, {
  blocksLow: u32(0x04),
  firstDataBlock: u32(0x14),
  logBlockSize: u32(0x18),
  logClusterSize: u32(0x1c),
  blocksPerGroup: u32(0x20),
  clustersPerGroup: u32(0x24),
  inodesPerGroup: u32(0x28),
  magic: u16(0x38),
  inodeBytes: u16(0x58),
  compatible: u32(0x5c),
  incompatible: u32(0x60),
  readOnlyCompatible: u32(0x64),
  label: raw(0x78, 16),
  reservedGroupBlocks: u16(0xce),
  journalInode: u32(0xe0),
  descriptorBytes: u16(0xfe),
  firstMetaGroup: u32(0x104),
  blocksHigh: u32(0x150),
  backupGroup0: u32(0x24c),
  backupGroup1: u32(0x250),
});
export const EXT4_SUPERBLOCK_OFFSET = 1024;
export const EXT4_MAGIC = 0xef53;
/** The bits of feature words that change where things lie. */
export const EXT4_COMPATIBLE = { sparseSuper2: 0x200 } as const;
export const EXT4_INCOMPATIBLE = { metaGroups: 0x10, extents: 0x40, wide: 0x80 } as const;
export const EXT4_READ_ONLY = { sparseSuper: 0x1, clusters: 0x200 } as const;

export const ext4Group = struct('ext4 group descriptor', 32, {
  blockBitmap: u32(0x00),
  inodeBitmap: u32(0x04),
  inodeTable: u32(0x08),
  flags: u16(0x12),
});
/** The second half of a descriptor of 64 bytes. */
export const ext4GroupHigh = struct('ext4 group descriptor, high', 32, {
  blockBitmap: u32(0x00),
  inodeBitmap: u32(0x04),
  inodeTable: u32(0x08),
});
/** The block bitmap was never written: every block that is not metadata is free. */
export const EXT4_BLOCKS_UNWRITTEN = 0x2;

export const ext4Inode = struct('ext4 inode', 128, { flags: u32(0x20), block: raw(0x28, 60) });
export const EXT4_INODE_HAS_EXTENTS = 0x80000;
export const extentHeader = struct('ext4 extent header', 12, {
  magic: u16(0),
  entries: u16(2),
  depth: u16(6),
});
export const EXTENT_MAGIC = 0xf30a;
export const extentLeaf = struct('ext4 extent', 12, { length: u16(4), startHigh: u16(6), startLow: u32(8) });
export const extentIndex = struct('ext4 extent index', 12, { leafLow: u32(4), leafHigh: u16(8) });
/** Longer ones are this much longer than they say: allocated, not written yet. */
export const EXTENT_UNWRITTEN = 32_768;

export const ntfsBoot = struct('NTFS boot sector', 512, {
  system: ascii(3, 8),
  bytesPerSector: u16(0x0b),
  sectorsPerCluster: u8(0x0d),
  sectors: u64(0x28),
  mftCluster: u64(0x30),
  recordSize: u8(0x40),
});
export const mftRecord = struct('MFT record', 48, {
  magic: ascii(0, 4),
  fixupOffset: u16(4),
  fixupCount: u16(6),
  attributes: u16(0x14),
  flags: u16(0x16),
});
export const MFT_RECORD_IN_USE = 1;
export const attributeHeader = struct('NTFS attribute', 16, {
  type: u32(0),
  length: u32(4),
  nonResident: u8(8),
  nameLength: u8(9),
  nameOffset: u16(10),
});
export const residentAttribute = struct('NTFS resident attribute', 24, {
  valueLength: u32(0x10),
  valueOffset: u16(0x14),
});
export const nonResidentAttribute = struct('NTFS non-resident attribute', 64, {
  firstCluster: u64(0x10),
  runsOffset: u16(0x20),
  dataBytes: u64(0x30),
});
export const attributeListEntry = struct('NTFS attribute list entry', 26, {
  type: u32(0),
  length: u16(4),
  nameLength: u8(6),
  nameOffset: u8(7),
  recordLow: u32(16),
  recordHigh: u16(20),
});
export const ATTRIBUTES = {
  list: 0x20,
  volumeName: 0x60,
  data: 0x80,
  indexRoot: 0x90,
  indexAllocation: 0xa0,
  bitmap: 0xb0,
  end: 0xffffffff,
} as const;
/** Records of the MFT that every volume has. */
export const NTFS_RECORDS = {
  mft: 0,
  mftMirror: 1,
  logFile: 2,
  volume: 3,
  root: 5,
  bitmap: 6,
  boot: 7,
  extend: 11,
} as const;
export const indexBlock = struct('NTFS index block', 24, {
  magic: ascii(0, 4),
  fixupOffset: u16(4),
  fixupCount: u16(6),
});
export const indexRoot = struct('NTFS index root', 16, { blockBytes: u32(8) });
export const indexHeader = struct('NTFS index header', 16, { entriesOffset: u32(0), bytes: u32(4) });
export const indexEntry = struct('NTFS index entry', 16, {
  recordLow: u32(0),
  recordHigh: u16(4),
  length: u16(8),
  keyLength: u16(10),
  flags: u16(12),
});
export const INDEX_ENTRY_LAST = 2;
/** Of the file name that is the key of an index entry. */
export const FILE_NAME = { lengthOffset: 0x40, textOffset: 0x42 } as const;
/** Fixups protect the last two bytes of each of these, whatever the disk's sectors are. */
export const FIXUP_STRIDE = 512;
