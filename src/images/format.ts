/**
 * qcow2 version 3, as far as a writer of images needs it: docs/formats/qcow2.md. All numbers are big-endian.
 * Source: the QEMU project's docs/interop/qcow2.
 */
import { MiB, struct, u32, u64, u8 } from '../base/index.ts';

/** `'QFI\xfb'` read as a big-endian u32. */
export const QCOW2_MAGIC = 0x514649fb;

export const qcow2Header = struct(
  'qcow2 header',
  112,
  {
    magic: u32(0),
    version: u32(4),
    backingFileOffset: u64(8),
    backingFileSize: u32(16),
    clusterBits: u32(20),
    size: u64(24),
    cryptMethod: u32(32),
    l1Size: u32(36),
    l1TableOffset: u64(40),
    refcountTableOffset: u64(48),
    refcountTableClusters: u32(56),
    snapshotCount: u32(60),
    snapshotsOffset: u64(64),
    incompatibleFeatures: u64(72),
    compatibleFeatures: u64(80),
    autoclearFeatures: u64(88),
    refcountOrder: u32(96),
    headerLength: u32(100),
    compressionType: u8(104),
  },
  'big',
);

/** Incompatible feature: `compressionType` counts. A QEMU before 5.1 then refuses the image instead of reading it wrongly. */
export const FEATURE_COMPRESSION_TYPE = 0x8;
export const COMPRESSION_TYPE = { deflate: 0, zstd: 1 } as const;
/** Header extension: the format of the backing file. Without it QEMU would guess from content that the guest wrote. */
export const EXTENSION_BACKING_FORMAT = 0xe2792aca;
/** Bytes of a header extension before its data, which is filled to a multiple of 8. */
export const EXTENSION_HEADER_SIZE = 8;
export const BACKING_NAME_MAX = 1023;

/** Bytes of an entry in the L1 table, an L2 table and the refcount table. */
export const ENTRY_SIZE = 8;
/** log2 of the bits of one reference count: 16 bits, the only width every version of QEMU writes. */
export const REFCOUNT_ORDER = 4;
export const REFCOUNT_SIZE = 2;
export const CLUSTER_BITS_MIN = 9;
export const CLUSTER_BITS_MAX = 21;
/**
 * Half of what QEMU opens. At its own 32 MiB limit, the refcount table of a completely filled disk, which has to cover the
 * metadata too, would pass QEMU's limit for that table. 1 PiB at 64 KiB clusters.
 */
export const L1_BYTES_MAX = 16 * MiB;
/** QEMU counts a disk in sectors of this size and would drop the bytes behind the last whole one. */
export const SECTOR_SIZE = 512;

/**
 * Writes an L1 or L2 entry: bit 63 says that the reference count is exactly one, bits 9 to 55 are the offset. Halves
 * instead of a BigInt: this runs for every cluster of a disk.
 */
export function putEntry(view: DataView, index: number, fileOffset: number): void {
  view.setUint32(index * ENTRY_SIZE, (0x80000000 | Math.floor(fileOffset / 2 ** 32)) >>> 0);
  view.setUint32(index * ENTRY_SIZE + 4, fileOffset >>> 0);
}

/** The offset in an entry written by {@link putEntry}; 0 where nothing is. */
export function entryOffset(view: DataView, index: number): number {
  const high = view.getUint32(index * ENTRY_SIZE) & 0x00ffffff;
  const low = view.getUint32(index * ENTRY_SIZE + 4);
  return high * 2 ** 32 + low - (low % SECTOR_SIZE);
}

/** Writes an L2 entry of a cluster that reads as zeros whatever a backing file holds: bit 0. */
export function putZeroEntry(view: DataView, index: number): void {
  view.setUint32(index * ENTRY_SIZE, 0);
  view.setUint32(index * ENTRY_SIZE + 4, 1);
}

/** A compressed cluster ends in the sector of its last byte: the entry counts the sectors behind the first. */
const COMPRESSED = 0x40000000;
/** With clusters of 64 KiB, bits 0 to 53 are the offset, 54 to 61 the sectors. */
const COMPRESSED_SECTORS_SHIFT = 54 - 32;

/** Writes an L2 entry of a cluster of 64 KiB that is compressed into `length` bytes at `fileOffset`, at any byte. */
export function putCompressedEntry(view: DataView, index: number, fileOffset: number, length: number): void {
  const sectors = Math.floor((fileOffset + length - 1) / SECTOR_SIZE) - Math.floor(fileOffset / SECTOR_SIZE);
  const high = COMPRESSED | (sectors << COMPRESSED_SECTORS_SHIFT) | Math.floor(fileOffset / 2 ** 32);
  view.setUint32(index * ENTRY_SIZE, high >>> 0);
  view.setUint32(index * ENTRY_SIZE + 4, fileOffset >>> 0);
}
