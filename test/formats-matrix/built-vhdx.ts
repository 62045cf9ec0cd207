/**
 * VHDX files written byte by byte from the specification, without the code under test: states, bitmaps, orders and places that
 * neither qemu nor our writers make. Files are sparse, so that blocks of 256 MiB cost what is written into them.
 */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { KiB, MiB, crc32c, guidToBytes, newGuid } from '../../src/base/index.ts';

export const STATE = { absent: 0, undefined: 1, zero: 2, unmapped: 3, present: 6, partial: 7 } as const;

export interface BuiltBlock {
  readonly index: number;
  readonly state: keyof typeof STATE;
  /** Of a block that is present; the rest of it is zeros. */
  readonly strokes?: readonly BuiltStroke[];
  /** Of a partial block: the runs of sectors that are in this file. */
  readonly sectors?: readonly (readonly [first: number, count: number])[];
  /** Of a block that is not present: the place, in MiB, that its entry still names. */
  readonly staleMiB?: number;
}

export interface BuiltStroke {
  /** From the start of the block. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface BuiltVhdx {
  readonly size: number;
  readonly kind: 'fixed' | 'dynamic' | 'differencing';
  readonly blockSize: number;
  readonly sectorSize?: number;
  /** In the order of the file. */
  readonly blocks: readonly BuiltBlock[];
  readonly identity?: string;
  readonly diskId?: string;
  readonly parent?: { readonly identity: string; readonly name: string };
  /** Default `usual`: log, metadata, table, payload. `behind`: payload, then table, metadata and log, items backwards. */
  readonly tables?: 'usual' | 'behind';
  /** What nobody has to know: a region; an item of the system, one of a user with the name of a system's. */
  readonly strangers?: 'region' | 'system item' | 'user item';
  /** Default `usual`: the second is newer. Who follows an older one finds a log that is not there. */
  readonly headers?: 'usual' | 'first newer' | 'twins' | 'first only' | 'second only';
  /** Larger than what a double holds exactly. */
  readonly sequence?: bigint;
  readonly regionTables?: 'both' | 'second only';
  /** The last block of the file ends where the disk does, as old qemu left it. */
  readonly shortEnd?: boolean;
  /** Bytes behind the last block, as Disk2vhd leaves them. */
  readonly tail?: number;
  readonly log?: 'usual' | 'none';
}

const DISK_ID = 'd15c0000-0000-4000-8000-00000000d15c';
const BAT = '2dc27766-f623-4200-9d64-115e9bfd4a08';
const METADATA = '8b7ca206-4790-4b9a-b8fe-575f050f886e';
const UNKNOWN = '99999999-0000-4000-8000-000000000099';
const REQUIRED = 4;
const ABOUT_DISK = 2;
const OF_USER = 1;

/** Writes the file; its DataWriteGuid. */
export function buildVhdx(path: string, disk: BuiltVhdx): string {
  const identity = disk.identity ?? newGuid();
  const places = placesOf(disk);
  const file = openSync(path, 'w');
  const put = (offset: number, bytes: Uint8Array): void =>
    void writeSync(file, bytes, 0, bytes.length, offset);
  ftruncateSync(file, places.end);
  put(0, Buffer.from('vhdxfile', 'latin1'));
  put(8, Buffer.from('built by hand', 'utf16le'));
  putHeaders(put, disk, places, identity);
  const regions = regionTable(disk, places);
  put(192 * KiB, disk.regionTables === 'second only' ? Buffer.alloc(64 * KiB, 0x33) : regions);
  put(256 * KiB, regions);
  put(places.metadata, metadataOf(disk));
  disk.blocks.forEach((block, n) => putBlock(put, disk, places, block, places.blocks[n]!));
  closeSync(file);
  return identity;
}

type Put = (offset: number, bytes: Uint8Array) => void;

interface Places {
  readonly log: number;
  readonly metadata: number;
  readonly bat: number;
  readonly batLength: number;
  /** By number in `blocks`. */
  readonly blocks: readonly number[];
  /** By chunk. */
  readonly bitmaps: ReadonlyMap<number, number>;
  /** Of a region that nobody has to know; 0: there is none. */
  readonly stranger: number;
  readonly end: number;
}

const ratioOf = (disk: BuiltVhdx): number => (2 ** 23 * (disk.sectorSize ?? 512)) / disk.blockSize;

function placesOf(disk: BuiltVhdx): Places {
  const ratio = ratioOf(disk);
  const blockCount = Math.ceil(disk.size / disk.blockSize);
  const entries =
    disk.kind === 'differencing'
      ? Math.ceil(blockCount / ratio) * (ratio + 1)
      : blockCount + Math.floor((blockCount - 1) / ratio);
  const batLength = Math.ceil((entries * 8) / MiB) * MiB;
  const behind = disk.tables === 'behind';
  let end = behind ? 5 * MiB : 3 * MiB + batLength;
  const take = (length: number): number => (end += length) - length;
  const bitmaps = new Map<number, number>();
  const blocks = disk.blocks.map((block) => {
    const chunk = Math.floor(block.index / ratio);
    if (block.state === 'partial' && !bitmaps.has(chunk)) bitmaps.set(chunk, take(MiB));
    return block.state === 'present' || block.state === 'partial' ? take(disk.blockSize) : 0;
  });
  if (disk.shortEnd) end -= disk.blockSize - (disk.size % disk.blockSize);
  const bat = behind ? take(batLength) : 3 * MiB;
  const metadata = behind ? take(2 * MiB) : 2 * MiB;
  const log = behind ? take(MiB) : MiB;
  const stranger = disk.strangers === 'region' ? take(MiB) : 0;
  return { log, metadata, bat, batLength, blocks, bitmaps, stranger, end: end + (disk.tail ?? 0) };
}

function putHeaders(put: Put, disk: BuiltVhdx, places: Places, identity: string): void {
  const { sequence = 7n } = disk;
  const fileWriteGuid = newGuid();
  const header = (age: 'newer' | 'older'): Buffer => {
    const bytes = Buffer.alloc(4 * KiB);
    bytes.write('head', 0, 'latin1');
    bytes.writeBigUInt64LE(age === 'newer' ? sequence + 1n : sequence, 8);
    bytes.set(guidToBytes(fileWriteGuid), 16);
    bytes.set(guidToBytes(identity), 32);
    if (age === 'older') bytes.set(guidToBytes(newGuid()), 48);
    bytes.writeUInt16LE(1, 66);
    bytes.writeUInt32LE(disk.log === 'none' ? 0 : MiB, 68);
    bytes.writeBigUInt64LE(BigInt(disk.log === 'none' ? 0 : places.log), 72);
    return sealed(bytes);
  };
  const noise = Buffer.alloc(4 * KiB, 0x5a);
  const { headers = 'usual' } = disk;
  put(64 * KiB, headers === 'second only' ? noise : header(headers === 'usual' ? 'older' : 'newer'));
  const second = headers === 'first newer' ? 'older' : 'newer';
  put(128 * KiB, headers === 'first only' ? noise : header(second));
}

function regionTable(disk: BuiltVhdx, places: Places): Buffer {
  const bytes = Buffer.alloc(64 * KiB);
  bytes.write('regi', 0, 'latin1');
  const regions: [string, number, number, number][] = [
    [METADATA, places.metadata, disk.tables === 'behind' ? 2 * MiB : MiB, 1],
    [BAT, places.bat, places.batLength, 1],
  ];
  if (places.stranger > 0) regions.unshift([UNKNOWN, places.stranger, MiB, 0]);
  bytes.writeUInt32LE(regions.length, 8);
  regions.forEach(([name, offset, length, required], n) => {
    bytes.set(guidToBytes(name), 16 + 32 * n);
    bytes.writeBigUInt64LE(BigInt(offset), 32 + 32 * n);
    bytes.writeUInt32LE(length, 40 + 32 * n);
    bytes.writeUInt32LE(required, 44 + 32 * n);
  });
  return sealed(bytes);
}

/** The checksum at 4 of a header or of a region table. */
function sealed(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(crc32c(bytes), 4);
  return bytes;
}

function metadataOf(disk: BuiltVhdx): Buffer {
  const flags = { fixed: 1, dynamic: 0, differencing: 2 }[disk.kind];
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(disk.size));
  const items: [string, Uint8Array, number][] = [
    ['caa16737-fa36-4d43-b3b6-33f0aa44e76b', words(disk.blockSize, flags), REQUIRED],
    ['2fa54224-cd1b-4876-b211-5dbed83bf4b8', size, REQUIRED | ABOUT_DISK],
    ['beca12ab-b2e6-4523-93ef-c309e000c746', guidToBytes(disk.diskId ?? DISK_ID), REQUIRED | ABOUT_DISK],
    ['8141bf1d-a96f-4709-ba47-f233a8faab5f', words(disk.sectorSize ?? 512), REQUIRED | ABOUT_DISK],
    ['cda348c7-445d-4471-9cc9-e9885251c556', words(4096), REQUIRED | ABOUT_DISK],
  ];
  if (disk.parent) items.push(['a8d35f2d-b30b-454d-abf7-d3d84834ab0c', locatorOf(disk.parent), REQUIRED]);
  const behind = disk.tables === 'behind';
  if (disk.strangers === 'system item') items.push([UNKNOWN, words(0x33), 0]);
  if (disk.strangers === 'user item') items.push([items[0]![0], words(0x44), OF_USER]);
  if (behind) items.reverse();
  const bytes = Buffer.alloc(behind ? 512 * KiB : 128 * KiB);
  bytes.write('metadata', 0, 'latin1');
  bytes.writeUInt16LE(items.length, 10);
  let at = behind ? 300 * KiB : 64 * KiB;
  items.forEach(([name, item, itemFlags], n) => {
    const entry = 32 + 32 * n;
    bytes.set(guidToBytes(name), entry);
    bytes.writeUInt32LE(at, entry + 16);
    bytes.writeUInt32LE(item.length, entry + 20);
    bytes.writeUInt32LE(itemFlags, entry + 24);
    bytes.set(item, at);
    at += Math.ceil(item.length / 8) * 8;
  });
  return bytes;
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function locatorOf(parent: { readonly identity: string; readonly name: string }): Buffer {
  const texts = [
    ['relative_path', `.\\${parent.name}`],
    ['parent_linkage', `{${parent.identity}}`],
    ['parent_linkage2', '{00000000-0000-0000-0000-000000000000}'],
  ].map(([key, value]) => [Buffer.from(key!, 'utf16le'), Buffer.from(value!, 'utf16le')] as const);
  const head = Buffer.alloc(20 + 12 * texts.length);
  head.set(guidToBytes('b04aefb7-d19e-4a81-b789-25b8e9445913'));
  head.writeUInt16LE(texts.length, 18);
  let at = head.length;
  texts.forEach(([key, value], n) => {
    head.writeUInt32LE(at, 20 + 12 * n);
    head.writeUInt32LE(at + key.length, 24 + 12 * n);
    head.writeUInt16LE(key.length, 28 + 12 * n);
    head.writeUInt16LE(value.length, 30 + 12 * n);
    at += key.length + value.length;
  });
  return Buffer.concat([head, ...texts.flat()]);
}

function putBlock(put: Put, disk: BuiltVhdx, places: Places, block: BuiltBlock, offset: number): void {
  const ratio = ratioOf(disk);
  const chunk = Math.floor(block.index / ratio);
  const entry = (index: number, state: number, fileOffset: number): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(fileOffset) | BigInt(state));
    put(places.bat + 8 * index, bytes);
  };
  entry(block.index + chunk, STATE[block.state], offset || (block.staleMiB ?? 0) * MiB);
  for (const stroke of block.strokes ?? []) put(offset + stroke.offset, stroke.bytes);
  const bitmap = places.bitmaps.get(chunk);
  if (block.state !== 'partial' || bitmap === undefined) return;
  entry((chunk + 1) * ratio + chunk, 6, bitmap);
  const sectors = disk.blockSize / (disk.sectorSize ?? 512);
  const bits = Buffer.alloc(sectors / 8);
  for (const [first, count] of block.sectors ?? []) {
    for (let bit = first; bit < first + count; bit += 1) bits[bit >> 3]! |= 1 << (bit & 7);
  }
  put(bitmap + ((block.index % ratio) * sectors) / 8, bits);
}
