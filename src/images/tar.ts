/**
 * Headers of a tar archive, as an OVA is one: POSIX ustar, in which the size of a member ends below 8 GiB. A larger one has
 * its size in GNU's binary form, which vSphere and VirtualBox read; the headers of POSIX pax they do not.
 */
import { ascii, assert, GiB, raw, struct } from '../base/index.ts';

export const TAR_BLOCK = 512;

export const tarFields = struct('tar header', TAR_BLOCK, {
  name: ascii(0, 100),
  mode: ascii(100, 8),
  uid: ascii(108, 8),
  gid: ascii(116, 8),
  size: raw(124, 12),
  modified: ascii(136, 12),
  checksum: ascii(148, 8),
  type: ascii(156, 1),
  linkName: ascii(157, 100),
  magic: ascii(257, 8),
});

/** Two blocks of zeros. */
export const TAR_END_BYTES = 2 * TAR_BLOCK;
const NAME_MAX = 100;
const OCTAL_SIZE_MAX = 8 * GiB - 1;

export interface TarMember {
  /** ASCII, at most 100 bytes. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly modified: number;
}

/** The header of a member: one block. Its content follows, filled to whole blocks: {@link paddingOf}. */
export function tarHeader({ name, size, modified }: TarMember): Uint8Array {
  assert(name.length <= NAME_MAX, 'names in a tar archive are short');
  const bytes = new Uint8Array(TAR_BLOCK);
  const small = size <= OCTAL_SIZE_MAX;
  tarFields.write(bytes, {
    name,
    mode: octal(0o644, 8),
    uid: octal(0, 8),
    gid: octal(0, 8),
    size: small ? Buffer.from(octal(size, 12)) : binarySize(size),
    modified: octal(modified, 12),
    checksum: ' '.repeat(8),
    type: '0',
    magic: small ? 'ustar\u000000' : 'ustar  \u0000',
  });
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  tarFields.write(bytes, { checksum: `${octal(sum, 7)} ` });
  return bytes;
}

/** Zeros behind a member's content. */
export function paddingOf(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

/** Bytes of a member in the archive. */
export function memberBytes(size: number): number {
  return TAR_BLOCK + size + paddingOf(size);
}

/** Digits that end in a zero, `length` bytes in all. */
function octal(value: number, length: number): string {
  return `${value.toString(8).padStart(length - 1, '0')}\u0000`;
}

/** A first byte of 0x80, then a big-endian number. */
function binarySize(size: number): Uint8Array {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(0x80, 0);
  bytes.writeBigUInt64BE(BigInt(size), 4);
  return bytes;
}
