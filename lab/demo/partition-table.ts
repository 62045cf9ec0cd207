/** A master boot record: which parts of a disk are partitions. Numbers are little-endian. */
import { randomInt } from 'node:crypto';
import { assert, struct, u16, u32, u8 } from '../../src/base/index.ts';

export const SECTOR_SIZE = 512;
/** Byte offset of the first partition: 1 MiB, as every installer of the last fifteen years does it. */
export const FIRST_PARTITION = 1024 * 1024;

const LINUX = 0x83;
const ENTRIES_AT = 446;
const entry = struct('partition', 16, { type: u8(4), firstSector: u32(8), sectors: u32(12) });
const record = struct('master boot record', SECTOR_SIZE, { diskSignature: u32(440), signature: u16(510) });

export interface Partition {
  /** Bytes; whole sectors. */
  readonly offset: number;
  readonly length: number;
}

/** The first sector of a disk with up to four partitions. */
export function partitionTable(partitions: readonly Partition[]): Uint8Array {
  assert(partitions.length <= 4, 'a master boot record has four entries');
  const bytes = new Uint8Array(record.size);
  record.write(bytes, { diskSignature: randomInt(1, 2 ** 32), signature: 0xaa55 });
  for (const [index, { offset, length }] of partitions.entries()) {
    const values = { type: LINUX, firstSector: offset / SECTOR_SIZE, sectors: length / SECTOR_SIZE };
    entry.write(bytes, values, ENTRIES_AT + index * entry.size);
  }
  return bytes;
}
