/**
 * Fixed byte layouts: one table per on-disk structure, read and written by name.
 *
 *   const header = struct('VHDX header', 4096, { signature: u32(0), sequenceNumber: u64(8), logGuid: guid(48) });
 *   header.read(bytes).sequenceNumber
 *
 * Not for hot loops. Offsets are bytes; `u64` yields a number and throws a RangeError beyond 2^53, `u64big` a bigint.
 */
import { guidFromBytes, guidToBytes } from './guid.ts';

export interface Field<T> {
  readonly offset: number;
  readonly size: number;
  get(view: DataView, at: number, littleEndian: boolean): T;
  set(view: DataView, at: number, littleEndian: boolean, value: T): void;
}

const field = <T>(offset: number, size: number, get: Field<T>['get'], set: Field<T>['set']): Field<T> => ({
  offset,
  size,
  get,
  set,
});

export const u8 = (offset: number): Field<number> =>
  field(
    offset,
    1,
    (v, at) => v.getUint8(at),
    (v, at, _le, value) => v.setUint8(at, value),
  );
export const u16 = (offset: number): Field<number> =>
  field(
    offset,
    2,
    (v, at, le) => v.getUint16(at, le),
    (v, at, le, value) => v.setUint16(at, value, le),
  );
export const u32 = (offset: number): Field<number> =>
  field(
    offset,
    4,
    (v, at, le) => v.getUint32(at, le),
    (v, at, le, value) => v.setUint32(at, value, le),
  );
export const u64 = (offset: number): Field<number> =>
  field(
    offset,
    8,
    (v, at, le) => exactNumber(v.getBigUint64(at, le)),
    (v, at, le, value) => v.setBigUint64(at, BigInt(value), le),
  );
export const u64big = (offset: number): Field<bigint> =>
  field(
    offset,
    8,
    (v, at, le) => v.getBigUint64(at, le),
    (v, at, le, value) => v.setBigUint64(at, value, le),
  );
export const guid = (offset: number): Field<string> =>
  field(
    offset,
    16,
    (v, at) => guidFromBytes(bytesOf(v, at, 16)),
    (v, at, _le, value) => bytesOf(v, at, 16).set(guidToBytes(value)),
  );
/** Raw bytes; the reader gets a copy. */
export const raw = (offset: number, size: number): Field<Uint8Array> =>
  field(
    offset,
    size,
    (v, at) => bytesOf(v, at, size).slice(),
    (v, at, _le, value) => bytesOf(v, at, size).set(value.subarray(0, size)),
  );
/** ASCII text of exactly `size` bytes. */
export const ascii = (offset: number, size: number): Field<string> =>
  field(
    offset,
    size,
    (v, at) => String.fromCharCode(...bytesOf(v, at, size)),
    (v, at, _le, value) => {
      for (let i = 0; i < size; i += 1) v.setUint8(at + i, value.charCodeAt(i) & 0x7f);
    },
  );

type Fields = Readonly<Record<string, Field<never>>>;
type ValueOf<F> = F extends Field<infer T> ? T : never;
export type StructValue<T> = { [K in keyof T]: ValueOf<T[K]> };

export interface Struct<T> {
  readonly name: string;
  /** Bytes the structure occupies, reserved tail included. */
  readonly size: number;
  readonly fields: T;
  read(bytes: Uint8Array, at?: number): StructValue<T>;
  /** Writes the given fields; what is not named keeps its bytes. */
  write(bytes: Uint8Array, values: Partial<StructValue<T>>, at?: number): void;
}

export type StructOf<S> = S extends Struct<infer T> ? StructValue<T> : never;

export function struct<T extends { readonly [K in keyof T]: Field<ValueOf<T[K]>> }>(
  name: string,
  size: number,
  fields: T,
  byteOrder: 'little' | 'big' = 'little',
): Struct<T> {
  const entries = Object.entries(fields as unknown as Fields) as [string, Field<unknown>][];
  const little = byteOrder === 'little';
  return {
    name,
    size,
    fields,
    read(bytes, at = 0) {
      const view = viewOf(bytes);
      return Object.fromEntries(
        entries.map(([key, f]) => [key, f.get(view, at + f.offset, little)]),
      ) as StructValue<T>;
    },
    write(bytes, values, at = 0) {
      const view = viewOf(bytes);
      for (const [key, f] of entries) {
        const value = (values as Record<string, unknown>)[key];
        if (value !== undefined) f.set(view, at + f.offset, little, value);
      }
    },
  };
}

/** `'head'` as a little-endian u32. */
export function signature(text: string): number {
  return new DataView(Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer).getUint32(0, true);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function bytesOf(view: DataView, at: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, size);
}

function exactNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`${value} exceeds 2^53`);
  return Number(value);
}
