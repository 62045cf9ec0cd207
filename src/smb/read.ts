/** READ. MS-SMB2 2.2.19, 2.2.20. */
import { CREDIT_BYTES, readRequest, readResponse } from './format.ts';
import { HEADER_BYTES, Malformed, readBody, readSpan, writeBody } from './message.ts';

/** Where the server is asked to put the data in its answer: right behind the fixed part. */
const DATA_OFFSET = HEADER_BYTES + readResponse.size;

/** What an answer holds besides the data. */
export const READ_OVERHEAD_BYTES = 1024;

export function writeRead(fileId: Uint8Array, offset: number, length: number): Uint8Array {
  const fields = { padding: DATA_OFFSET, length, offset, fileId, minimumCount: 1 };
  return writeBody(readRequest, fields, [new Uint8Array(1)]);
}

/** 3.1.5.2: one credit for each 64 KiB begun. */
export function readCharge(length: number): number {
  return Math.max(1, Math.ceil(length / CREDIT_BYTES));
}

/** The bytes that came: at least one, at most `length`. Throws `Malformed`. */
export function readData(bytes: Uint8Array, length: number): Uint8Array {
  const body = readBody(readResponse, bytes);
  if (body.dataLength === 0 || body.dataLength > length) {
    throw new Malformed(`${body.dataLength} bytes for a read of ${length}`);
  }
  return readSpan(bytes, body.dataOffset, body.dataLength, 'the data of a read');
}
