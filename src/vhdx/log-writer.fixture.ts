/**
 * A small writer of dirty logs, after MS-VHDX 2.3 and with none of the layouts of format.ts: two readings of the
 * specification that must agree.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { crc32c, guidToBytes, newGuid } from '../base/index.ts';

export type LoggedChange =
  | { readonly offset: number; readonly data: Buffer }
  | { readonly offset: number; readonly zeros: number };

export interface LoggedEntry {
  readonly sequence: bigint;
  /** Where in the ring the oldest entry that matters begins. */
  readonly tail: number;
  readonly changes: readonly LoggedChange[];
  readonly flushed?: number;
  readonly last?: number;
  readonly guid?: string;
}

const SECTOR = 4096;

/** A ring of `length` bytes for a log with a GUID of its own. */
export class DirtyLog {
  readonly ring: Buffer;
  readonly guid: string;

  constructor(length: number, guid = newGuid()) {
    this.ring = Buffer.alloc(length);
    this.guid = guid;
  }

  /** Writes an entry at `at`, around the end if need be; the position behind it. */
  write(at: number, entry: LoggedEntry): number {
    const bytes = entryBytes(entry, entry.guid ?? this.guid);
    for (let i = 0; i < bytes.length; i += SECTOR) {
      bytes.copy(this.ring, (at + i) % this.ring.length, i, i + SECTOR);
    }
    return (at + bytes.length) % this.ring.length;
  }

  /** Puts the log into the file, where its headers say, and names it in both headers. */
  install(path: string): void {
    const file = readFileSync(path);
    for (const header of [65_536, 131_072]) {
      file.set(guidToBytes(this.guid), header + 48);
      file.writeUInt32LE(this.ring.length, header + 68);
      file.writeUInt32LE(0, header + 4);
      file.writeUInt32LE(crc32c(file.subarray(header, header + SECTOR)), header + 4);
    }
    this.ring.copy(file, 1024 * 1024);
    writeFileSync(path, file);
  }
}

/** What is in the file once `changes` were made to it. */
export function applied(file: Buffer, changes: readonly LoggedChange[], size = 0): Buffer {
  const ends = changes.map((change) => change.offset + lengthOf(change));
  const result = Buffer.alloc(Math.max(file.length, size, ...ends));
  file.copy(result);
  for (const change of changes) {
    if ('data' in change) change.data.copy(result, change.offset);
    else result.fill(0, change.offset, change.offset + change.zeros);
  }
  return result;
}

function lengthOf(change: LoggedChange): number {
  return 'data' in change ? change.data.length : change.zeros;
}

function entryBytes(entry: LoggedEntry, guid: string): Buffer {
  const data = entry.changes.flatMap((change) => ('data' in change ? [change.data] : []));
  const area = Math.ceil((64 + 32 * entry.changes.length) / SECTOR) * SECTOR;
  const bytes = Buffer.alloc(area + data.length * SECTOR);
  bytes.write('loge', 0, 'latin1');
  bytes.writeUInt32LE(bytes.length, 8);
  bytes.writeUInt32LE(entry.tail, 12);
  bytes.writeBigUInt64LE(entry.sequence, 16);
  bytes.writeUInt32LE(entry.changes.length, 24);
  bytes.set(guidToBytes(guid), 32);
  bytes.writeBigUInt64LE(BigInt(entry.flushed ?? 0), 48);
  bytes.writeBigUInt64LE(BigInt(entry.last ?? 0), 56);
  entry.changes.forEach((change, index) => writeDescriptor(bytes, 64 + 32 * index, change, entry.sequence));
  data.forEach((sector, index) => writeDataSector(bytes, area + index * SECTOR, sector, entry.sequence));
  bytes.writeUInt32LE(crc32c(bytes), 4);
  return bytes;
}

function writeDescriptor(bytes: Buffer, at: number, change: LoggedChange, sequence: bigint): void {
  bytes.writeBigUInt64LE(BigInt(change.offset), at + 16);
  bytes.writeBigUInt64LE(sequence, at + 24);
  if ('data' in change) {
    bytes.write('desc', at, 'latin1');
    change.data.copy(bytes, at + 4, SECTOR - 4);
    change.data.copy(bytes, at + 8, 0, 8);
  } else {
    bytes.write('zero', at, 'latin1');
    bytes.writeBigUInt64LE(BigInt(change.zeros), at + 8);
  }
}

function writeDataSector(bytes: Buffer, at: number, sector: Buffer, sequence: bigint): void {
  bytes.write('data', at, 'latin1');
  bytes.writeUInt32LE(Number(sequence >> 32n), at + 4);
  sector.copy(bytes, at + 8, 8, SECTOR - 4);
  bytes.writeUInt32LE(Number(sequence & 0xffffffffn), at + SECTOR - 4);
}
