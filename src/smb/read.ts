/** READ. MS-SMB2 2.2.19, 2.2.20. */
import { CREDIT_BYTES, readRequest, readResponse } from './format.ts';
import type { Landing } from './landing.ts';
import { HEADER_BYTES, Malformed, readBody, readSpan, writeBody, type Reply } from './message.ts';

/** An answer up to its data, where the server is asked to put it: right behind the fixed part. */
export const READ_START_BYTES = HEADER_BYTES + readResponse.size;

/** What an answer holds besides the data. */
export const READ_OVERHEAD_BYTES = 1024;

export function writeRead(fileId: Uint8Array, offset: number, length: number): Uint8Array {
  const fields = { padding: READ_START_BYTES, length, offset, fileId, minimumCount: 1 };
  return writeBody(readRequest, fields, [new Uint8Array(1)]);
}

/** 3.1.5.2: one credit for each 64 KiB begun. */
export function readCharge(length: number): number {
  return Math.max(1, Math.ceil(length / CREDIT_BYTES));
}

/**
 * Whether `start`, an answer up to its data, says that all the `behind` bytes that follow are data, where they were asked to
 * be. Then they need not be put together with it.
 */
export function isFollowedByData(start: Uint8Array, behind: number): boolean {
  if (start.length < READ_START_BYTES || behind === 0) return false;
  const { structureSize, dataOffset, dataLength } = readResponse.read(start, HEADER_BYTES);
  return structureSize === readResponse.size + 1 && dataOffset === READ_START_BYTES && dataLength === behind;
}

/** The bytes that came: at least one, at most `length`. Throws `Malformed`. */
export function readData(bytes: Uint8Array, length: number): Uint8Array {
  const body = readBody(readResponse, bytes);
  if (body.dataLength === 0 || body.dataLength > length) {
    throw new Malformed(`${body.dataLength} bytes for a read of ${length}`);
  }
  return readSpan(bytes, body.dataOffset, body.dataLength, 'the data of a read');
}

/** Sees to it that the data of an answer lies where it is wanted, and says how much came. Throws `Malformed`. */
export function land({ bytes, landedBytes }: Reply, asked: number, landing: Landing): number {
  if (landedBytes !== undefined && landedBytes <= asked) return landedBytes;
  const data = readData(bytes, asked);
  landing.set(data, 0);
  return data.length;
}
