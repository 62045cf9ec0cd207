/**
 * VHD files written byte by byte from the specification, without the code under test: differencing disks, bitmaps with holes,
 * tables and headers at other places, old footers.
 */
import { writeFileSync } from 'node:fs';

export interface BuiltBlock {
  readonly index: number;
  readonly data: Buffer;
  /** Whether each sector is in the file; default: all. */
  readonly has?: (sector: number) => boolean;
}

export interface BuiltDisk {
  readonly size: number;
  readonly kind: 'fixed' | 'dynamic' | 'differencing';
  readonly uniqueId: string;
  readonly blockSize?: number;
  /** In the order of the file. */
  readonly blocks?: readonly BuiltBlock[];
  readonly parentId?: string;
  readonly parentTimestamp?: number;
  readonly parentName?: string;
  /** Code and text bytes, in the order of the header. */
  readonly locators?: readonly (readonly [code: string, text: Buffer])[];
  /** Four characters; default `win `. */
  readonly creator?: string;
  readonly geometry?: readonly [cylinders: number, heads: number, sectors: number];
  /** Of the table; default 2 MiB / block size of the disk. */
  readonly tableEntries?: number;
  /** Sectors left free between the footer's copy and the header. */
  readonly gap?: number;
  /** Content of a fixed disk. */
  readonly content?: Buffer;
}

const TYPES = { fixed: 2, dynamic: 3, differencing: 4 };
const SECTOR = 512;

export const utf16le = (text: string): Buffer => Buffer.from(text, 'utf16le');

/** A texts-only child: relative path beside it. */
export const beside = (name: string): readonly (readonly [string, Buffer])[] => [
  ['W2ru', utf16le(`.\\${name}`)],
];

/** Writes the file and returns its bytes. */
export function buildVhd(path: string, disk: BuiltDisk): Buffer {
  const bytes =
    disk.kind === 'fixed'
      ? Buffer.concat([disk.content ?? Buffer.alloc(disk.size), footerOf(disk, 0)])
      : withBlocks(disk);
  writeFileSync(path, bytes);
  return bytes;
}

function withBlocks(disk: BuiltDisk): Buffer {
  const blockSize = disk.blockSize ?? 2 * 1024 * 1024;
  const entries = disk.tableEntries ?? Math.ceil(disk.size / blockSize);
  const headerOffset = SECTOR * (1 + (disk.gap ?? 0));
  const tableOffset = headerOffset + 1024;
  const table = Buffer.alloc(Math.ceil((entries * 4) / SECTOR) * SECTOR, 0xff);
  const texts = (disk.locators ?? []).map(([code, text]) => ({ code, text, offset: 0 }));
  const parts: Buffer[] = [];
  let end = tableOffset + table.length;
  for (const each of texts) {
    each.offset = end;
    parts.push(padded(each.text));
    end += parts.at(-1)!.length;
  }
  for (const block of disk.blocks ?? []) {
    table.writeUInt32BE(end / SECTOR, block.index * 4);
    parts.push(bitmapOf(block, blockSize), Buffer.concat([block.data], blockSize));
    end += parts.at(-1)!.length + parts.at(-2)!.length;
  }
  const footer = footerOf(disk, headerOffset);
  const header = headerOf(disk, { tableOffset, entries, blockSize, texts });
  const gap = Buffer.alloc(headerOffset - SECTOR);
  return Buffer.concat([footer, gap, header, table, ...parts, footer]);
}

function padded(text: Buffer): Buffer {
  return Buffer.concat([text], Math.max(SECTOR, Math.ceil(text.length / SECTOR) * SECTOR));
}

function bitmapOf({ has = () => true }: BuiltBlock, blockSize: number): Buffer {
  const sectors = blockSize / SECTOR;
  const bitmap = Buffer.alloc(Math.ceil(sectors / 8 / SECTOR) * SECTOR);
  for (let sector = 0; sector < sectors; sector += 1) {
    if (has(sector)) bitmap[sector >> 3]! |= 0x80 >> (sector & 7);
  }
  return bitmap;
}

function footerOf(disk: BuiltDisk, headerOffset: number): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write('conectix', 0, 'latin1');
  bytes.writeUInt32BE(2, 8);
  bytes.writeUInt32BE(0x10000, 12);
  if (disk.kind === 'fixed') bytes.fill(0xff, 16, 24);
  else bytes.writeBigUInt64BE(BigInt(headerOffset), 16);
  bytes.writeUInt32BE(0x2a000000, 24);
  bytes.write(disk.creator ?? 'win ', 28, 'latin1');
  bytes.writeUInt32BE(0x00060003, 32);
  bytes.write('Wi2k', 36, 'latin1');
  bytes.writeBigUInt64BE(BigInt(disk.size), 40);
  bytes.writeBigUInt64BE(BigInt(disk.size), 48);
  const [cylinders, heads, sectors] = disk.geometry ?? [65535, 16, 255];
  bytes.writeUInt16BE(cylinders, 56);
  bytes.writeUInt8(heads, 58);
  bytes.writeUInt8(sectors, 59);
  bytes.writeUInt32BE(TYPES[disk.kind], 60);
  bytes.write(disk.uniqueId.replaceAll('-', ''), 68, 'hex');
  return sealed(bytes, 64);
}

function headerOf(
  disk: BuiltDisk,
  at: {
    tableOffset: number;
    entries: number;
    blockSize: number;
    texts: { code: string; text: Buffer; offset: number }[];
  },
): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.write('cxsparse', 0, 'latin1');
  bytes.fill(0xff, 8, 16);
  bytes.writeBigUInt64BE(BigInt(at.tableOffset), 16);
  bytes.writeUInt32BE(0x10000, 24);
  bytes.writeUInt32BE(at.entries, 28);
  bytes.writeUInt32BE(at.blockSize, 32);
  bytes.write((disk.parentId ?? '').replaceAll('-', ''), 40, 'hex');
  bytes.writeUInt32BE(disk.parentTimestamp ?? 0, 56);
  utf16le(disk.parentName ?? '')
    .swap16()
    .copy(bytes, 64);
  at.texts.forEach(({ code, text, offset }, index) => {
    const entry = 576 + 24 * index;
    bytes.write(code, entry, 'latin1');
    // Bytes, as Windows 10 writes, where the specification says sectors.
    bytes.writeUInt32BE(padded(text).length, entry + 4);
    bytes.writeUInt32BE(text.length, entry + 8);
    bytes.writeBigUInt64BE(BigInt(offset), entry + 16);
  });
  return sealed(bytes, 36);
}

/** Gives a footer (checksum at 64) or a dynamic header (at 36) its checksum. */
export function sealed(bytes: Buffer, checksumAt: number): Buffer {
  bytes.writeUInt32BE(0, checksumAt);
  bytes.writeUInt32BE(~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0, checksumAt);
  return bytes;
}
