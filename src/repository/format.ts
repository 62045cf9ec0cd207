/**
 * Every byte of a repository, as docs/formats/repository.md specifies it (a test holds the two together).
 *
 *   hvlift.json          what the repository is            keys/…        the master key, wrapped once a secret
 *   packs/ab/abcd…       objects, back to back             index/…       id → place, sorted
 *   points/VM/…          one manifest a restore point      baselines/VM/…, journal/VM/…, locks/VM/…
 *
 * Integers are little-endian; every fixed structure ends with the CRC-32C of the bytes before it.
 */
import { KiB, MiB, ascii, crc32c, raw, struct, u32, u64, u8, viewOf } from '../base/index.ts';

export const FORMAT_VERSION = 1;
/** A slot is the unit of the map: 1 MiB of disk address space. */
export const SLOT_BYTES = MiB;
/** A slot is patched in cells. */
export const CELL_BYTES = 64 * KiB;
export const CELLS = SLOT_BYTES / CELL_BYTES;
export const LEAF_SLOTS = 256;
export const FAN_OUT = 256;
export const ID_BYTES = 32;
export const TAG_BYTES = 16;
export const SALT_BYTES = 16;
export const NONCE_BYTES = 12;
/** What one object may hold; a length above it in any file is damage, never an allocation. */
export const OBJECT_RAW_MAX = 16 * MiB;
/** Reached, a pack is closed. It may be exceeded by one object, so 32-bit offsets always suffice. */
export const PACK_TARGET_BYTES = 32 * MiB;
export const PACK_BYTES_MAX = PACK_TARGET_BYTES + 2 * OBJECT_RAW_MAX;

export const OBJECT_MAGIC = 'HVLOBJ\x1a\n';
export const PACK_MAGIC = 'HVLPAK\x1a\n';
export const PACK_END_MAGIC = 'HVLEND\x1a\n';
export const SEGMENT_MAGIC = 'HVLIDX\x1a\n';

export const KINDS = {
  data: 1,
  leaf: 2,
  node: 3,
  blob: 4,
  manifest: 5,
  baseline: 6,
  journal: 7,
  epoch: 8,
  pin: 9,
  quarantine: 10,
  verified: 11,
  catalogue: 12,
} as const;
export type ObjectKind = keyof typeof KINDS;

/** Undefined for kinds of later versions. */
export function kindOf(number: number): ObjectKind | undefined {
  return (Object.keys(KINDS) as ObjectKind[]).find((kind) => KINDS[kind] === number);
}
export const COMPRESSION = { none: 0, zstd: 1 } as const;
export const ENCRYPTION = { none: 0, aes256gcm: 1 } as const;
export const PACK_TYPES = { data: 1, meta: 2 } as const;
export type PackType = keyof typeof PACK_TYPES;

export const objectHeader = struct('Object header', 96, {
  magic: ascii(0, 8),
  kind: u8(8),
  compression: u8(9),
  encryption: u8(10),
  rawLength: u32(12),
  storedLength: u32(16),
  id: raw(20, ID_BYTES),
  salt: raw(52, SALT_BYTES),
  nonce: raw(68, NONCE_BYTES),
  checksum: u32(92),
});

export const packHeader = struct('Pack header', 64, {
  magic: ascii(0, 8),
  version: u32(8),
  type: u32(12),
  repositoryId: raw(16, 16),
  packId: raw(32, 16),
  checksum: u32(60),
});

export const trailerEntry = struct('Trailer entry', 48, {
  id: raw(0, ID_BYTES),
  offset: u32(32),
  storedLength: u32(36),
  rawLength: u32(40),
  kind: u8(44),
});

export const packFooter = struct('Pack footer', 64, {
  trailerOffset: u32(0),
  entryCount: u32(4),
  trailerChecksum: u32(8),
  type: u32(12),
  packId: raw(16, 16),
  magic: ascii(52, 8),
  checksum: u32(60),
});

/** Of a pack, what is neither object nor entry. */
export const PACK_FRAME_BYTES = packHeader.size + packFooter.size;

export const segmentHeader = struct('Segment header', 128, {
  magic: ascii(0, 8),
  version: u32(8),
  fanOutBits: u32(12),
  entryCount: u32(16),
  packCount: u32(20),
  bloomBlocks: u32(24),
  supersededCount: u32(28),
  repositoryId: raw(32, 16),
  segmentId: raw(48, 16),
  size: u64(64),
  checksum: u32(124),
});

export const packTableEntry = struct('Pack table entry', 24, {
  packId: raw(0, 16),
  size: u32(16),
  type: u32(20),
});

export const segmentEntry = struct('Segment entry', 48, {
  id: raw(0, ID_BYTES),
  pack: u32(32),
  offset: u32(36),
  storedLength: u32(40),
  rawLength: u32(44),
});

export const leafHeader = struct('Leaf page header', 68, { level: u8(0), types: raw(4, LEAF_SLOTS / 4) });
export const nodeHeader = struct('Node page header', 36, { level: u8(0), present: raw(4, FAN_OUT / 8) });
export const patchHeader = struct('Patched slot', 2, { base: u8(0), extentCount: u8(1) });
export const extentHeader = struct('Slot extent', 4, {
  cell: u8(0),
  count: u8(1),
  source: u8(2),
  sourceCell: u8(3),
});

/** Writes the checksum that ends the structure of `size` bytes at the start of `bytes`. */
export function closeStruct(bytes: Uint8Array, size: number): void {
  viewOf(bytes).setUint32(size - 4, crc32c(bytes.subarray(0, size - 4)), true);
}

/** Is the structure of `size` bytes at the start of `bytes` whole, and of this magic? */
export function isWhole(bytes: Uint8Array, size: number): boolean {
  return (
    bytes.length >= size && viewOf(bytes).getUint32(size - 4, true) === crc32c(bytes.subarray(0, size - 4))
  );
}

export function packName(packId: Uint8Array): string {
  const hex = Buffer.from(packId).toString('hex');
  return `packs/${hex.slice(0, 2)}/${hex}`;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Leaves and nodes of a block map. */
export function isMapPage(kind: ObjectKind): boolean {
  return kind === 'leaf' || kind === 'node';
}
