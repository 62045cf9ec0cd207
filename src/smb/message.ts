/**
 * Reading the body of an answer without trusting a byte of it: lengths and offsets are checked before they are followed.
 *
 * What is wrong is thrown as a {@link Malformed}; the connection, which knows the host, makes `SMB_PROTOCOL_BROKEN` of it.
 */
import { Malformed } from '../auth/index.ts';
import type { Struct, StructValue } from '../base/index.ts';
import { messageHeader } from './format.ts';

export const HEADER_BYTES = messageHeader.size;

/** An answer, header included, because offsets in bodies count from there. */
export interface Reply {
  readonly status: number;
  readonly bytes: Uint8Array;
  /** Of a READ: so many bytes of data followed `bytes`, and lie where the request said. */
  readonly landedBytes?: number;
}

export { Malformed };

/** The fixed part of the body. `odd`: a variable part follows, which its structure size counts as one byte. */
export function readBody<T>(kind: Struct<T>, bytes: Uint8Array, odd = true): StructValue<T> {
  if (bytes.length < HEADER_BYTES + kind.size) throw new Malformed(`${kind.name} is cut short`);
  const body = kind.read(bytes, HEADER_BYTES);
  const expected = kind.size + (odd ? 1 : 0);
  if ((body as { structureSize?: number }).structureSize !== expected) {
    throw new Malformed(`${kind.name} has a wrong structure size`);
  }
  return body;
}

/** `length` bytes at `offset` of the message, which must lie behind its header. */
export function readSpan(bytes: Uint8Array, offset: number, length: number, what: string): Uint8Array {
  if (length === 0) return bytes.subarray(0, 0);
  if (offset < HEADER_BYTES || offset + length > bytes.length) {
    throw new Malformed(`${what} leaves the message`);
  }
  return bytes.subarray(offset, offset + length);
}

/** A fixed part with its size filled in, then what follows it. */
export function writeBody<T>(
  kind: Struct<T>,
  values: Partial<StructValue<T>>,
  tail: readonly Uint8Array[] = [],
  odd = true,
): Uint8Array {
  const head = new Uint8Array(kind.size);
  kind.write(head, { ...values, structureSize: kind.size + (odd ? 1 : 0) } as Partial<StructValue<T>>);
  return Buffer.concat([head, ...tail]);
}

export function paddedTo8(bytes: Uint8Array): Uint8Array {
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
  padded.set(bytes);
  return padded;
}
