/**
 * Headers of a tar archive, as an OVA is one: POSIX ustar, in which the size of a member ends below 8 GiB. A larger one has
 * its size in GNU's binary form, which vSphere and VirtualBox read; the headers of POSIX pax they do not.
 */
import { assert, GiB } from '../base/index.ts';

export const TAR_BLOCK = 512;
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
  const bytes = Buffer.alloc(TAR_BLOCK);
  bytes.write(name, 0, 'latin1');
  octal(bytes, 100, 8, 0o644);
  octal(bytes, 108, 8, 0);
  octal(bytes, 116, 8, 0);
  if (size <= OCTAL_SIZE_MAX) octal(bytes, 124, 12, size);
  else binarySize(bytes, size);
  octal(bytes, 136, 12, modified);
  bytes.write('0', 156);
  bytes.write(size <= OCTAL_SIZE_MAX ? 'ustar\u000000' : 'ustar  \u0000', 257, 'latin1');
  bytes.fill(' ', 148, 156);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
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

function octal(bytes: Buffer, at: number, length: number, value: number): void {
  bytes.write(value.toString(8).padStart(length - 1, '0'), at);
}

/** A first byte of 0x80, then a big-endian number. */
function binarySize(bytes: Buffer, size: number): void {
  bytes.writeUInt8(0x80, 124);
  bytes.writeBigUInt64BE(BigInt(size), 128);
}
