/** One entry of the log, as a writer makes it (MS-VHDX 2.3.1). What a reader makes of it is in log.ts. */
import { isZero } from '../base/index.ts';
import {
  DATA_DESCRIPTOR_SIGNATURE,
  DATA_SECTOR_SIGNATURE,
  DESCRIPTOR_SIZE,
  LOG_ENTRY_SIGNATURE,
  LOG_SECTOR,
  ZERO_SIGNATURE,
  checksumOf,
  dataDescriptor,
  dataSector,
  logEntryHeader,
  zeroDescriptor,
} from './format.ts';
import { descriptorArea } from './log.ts';

/** 4 KiB of the file's own tables as they are to be, at a multiple of 4 KiB. */
export interface TableSector {
  readonly fileOffset: number;
  readonly bytes: Uint8Array;
}

export interface EntryFields {
  readonly logGuid: string;
  readonly sequenceNumber: bigint;
  /** Where in the ring the oldest entry begins that still matters with this one. */
  readonly tail: number;
  /** The file's length, which is durable and holds everything the tables name. */
  readonly fileSize: number;
}

/** The largest number of sectors whose entry has at most `length` bytes. */
export function sectorsIn(length: number): number {
  let count = Math.floor(length / LOG_SECTOR);
  while (entryLength(count, count) > length) count -= 1;
  return count;
}

function entryLength(descriptors: number, dataSectors: number): number {
  return descriptorArea(descriptors) + dataSectors * LOG_SECTOR;
}

/** The bytes of an entry, whole sectors, checksum included. A sector of zeros takes a descriptor only. */
export function logEntryBytes(fields: EntryFields, sectors: readonly TableSector[]): Uint8Array {
  const data = sectors.filter(({ bytes }) => !isZero(bytes));
  const entry = new Uint8Array(entryLength(sectors.length, data.length));
  const { logGuid, sequenceNumber, tail } = fields;
  logEntryHeader.write(entry, {
    signature: LOG_ENTRY_SIGNATURE,
    entryLength: entry.length,
    tail,
    sequenceNumber,
    descriptorCount: sectors.length,
    logGuid,
    flushedFileOffset: BigInt(fields.fileSize),
    lastFileOffset: BigInt(fields.fileSize),
  });
  let dataAt = descriptorArea(sectors.length);
  sectors.forEach((sector, index) => {
    const at = logEntryHeader.size + index * DESCRIPTOR_SIZE;
    if (isZero(sector.bytes)) {
      writeZeroDescriptor(entry, at, sector, sequenceNumber);
    } else {
      writeData(entry, at, dataAt, sector, sequenceNumber);
      dataAt += LOG_SECTOR;
    }
  });
  logEntryHeader.write(entry, { checksum: checksumOf(entry) });
  return entry;
}

function writeZeroDescriptor(
  entry: Uint8Array,
  at: number,
  { fileOffset }: TableSector,
  sequenceNumber: bigint,
): void {
  const values = { signature: ZERO_SIGNATURE, zeroLength: LOG_SECTOR, fileOffset, sequenceNumber };
  zeroDescriptor.write(entry, values, at);
}

/** The first 8 and the last 4 bytes go to the descriptor: their places hold the sequence number, to find a torn sector. */
function writeData(
  entry: Uint8Array,
  at: number,
  dataAt: number,
  { fileOffset, bytes }: TableSector,
  sequenceNumber: bigint,
): void {
  const { data, sequenceLow } = dataSector.fields;
  dataDescriptor.write(
    entry,
    {
      signature: DATA_DESCRIPTOR_SIGNATURE,
      trailingBytes: bytes.subarray(sequenceLow.offset),
      leadingBytes: bytes.subarray(0, data.offset),
      fileOffset,
      sequenceNumber,
    },
    at,
  );
  dataSector.write(
    entry,
    {
      signature: DATA_SECTOR_SIGNATURE,
      sequenceHigh: Number(sequenceNumber >> 32n),
      data: bytes.subarray(data.offset, sequenceLow.offset),
      sequenceLow: Number(sequenceNumber & 0xffffffffn),
    },
    dataAt,
  );
}
