/** As much of DER (X.690) as SPNEGO needs: single-byte tags, definite lengths. */

/** What a peer sent can not be read. The connection, which knows the host, makes a fault of its own of it. */
export class Malformed extends Error {}

export interface DerItem {
  readonly tag: number;
  readonly value: Uint8Array;
}

export function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const value = Buffer.concat(parts);
  return Buffer.concat([Uint8Array.of(tag, ...lengthBytes(value.length)), value]);
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  if (length < 0x100) return [0x81, length];
  if (length < 0x10000) return [0x82, length >>> 8, length & 0xff];
  return [0x83, length >>> 16, (length >>> 8) & 0xff, length & 0xff];
}

/** The items that lie one behind the other in `bytes`, to its very end. Throws `Malformed`. */
export function readDer(bytes: Uint8Array): DerItem[] {
  const items: DerItem[] = [];
  for (let at = 0; at < bytes.length;) {
    const { length, from } = readLength(bytes, at + 1);
    if (from + length > bytes.length) throw new Malformed('a DER item leaves its container');
    items.push({ tag: bytes[at]!, value: bytes.subarray(from, from + length) });
    at = from + length;
  }
  return items;
}

/** The only item, which must have `tag`. */
export function readDerAs(tag: number, bytes: Uint8Array): Uint8Array {
  const [item, more] = readDer(bytes);
  if (item?.tag !== tag || more !== undefined) throw new Malformed(`no DER item of tag ${tag}`);
  return item.value;
}

function readLength(bytes: Uint8Array, at: number): { length: number; from: number } {
  const first = bytes[at];
  if (first === undefined) throw new Malformed('a DER length is cut short');
  if (first < 0x80) return { length: first, from: at + 1 };
  const count = first & 0x7f;
  if (count < 1 || count > 3 || at + count >= bytes.length) throw new Malformed('a DER length is unusable');
  let length = 0;
  for (let i = 1; i <= count; i += 1) length = length * 256 + bytes[at + i]!;
  return { length, from: at + 1 + count };
}
