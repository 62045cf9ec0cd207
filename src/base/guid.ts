/** GUIDs: text is lower case without braces; bytes are mixed-endian as Windows writes them (MS-DTYP 2.3.4.2). */
import { randomBytes } from 'node:crypto';

export const NIL_GUID = '00000000-0000-0000-0000-000000000000';

/** Where in the 16 bytes each pair of hexadecimal digits of the text form lies. */
const BYTE_ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;
const GUID_PATTERN = /^\{?([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\}?$/i;

export function isGuid(text: string): boolean {
  return GUID_PATTERN.test(text);
}

/** Lower case, no braces; `undefined` when `text` is not a GUID. */
export function normaliseGuid(text: string): string | undefined {
  const match = GUID_PATTERN.exec(text.trim());
  return match ? match.slice(1).join('-').toLowerCase() : undefined;
}

export function guidFromBytes(bytes: Uint8Array, at = 0): string {
  const hex = BYTE_ORDER.map((index) => bytes[at + index]!.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function guidToBytes(text: string): Uint8Array {
  const guid = normaliseGuid(text);
  if (guid === undefined) throw new TypeError(`not a GUID: ${text}`);
  const hex = guid.replaceAll('-', '');
  const bytes = new Uint8Array(16);
  BYTE_ORDER.forEach((target, index) => {
    bytes[target] = Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16);
  });
  return bytes;
}

/** A random (version 4) GUID. */
export function newGuid(): string {
  const bytes = randomBytes(16);
  bytes[7] = (bytes[7]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return guidFromBytes(bytes);
}
