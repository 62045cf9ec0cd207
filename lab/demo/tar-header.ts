/** The header of one file in a POSIX tar archive (IEEE 1003.1, ustar): text fields, numbers in octal. */
import { ascii, struct } from '../../src/base/index.ts';
import { SECTOR_SIZE } from './partition-table.ts';

const header = struct('tar header', SECTOR_SIZE, {
  name: ascii(0, 100),
  mode: ascii(100, 8),
  uid: ascii(108, 8),
  gid: ascii(116, 8),
  size: ascii(124, 12),
  mtime: ascii(136, 12),
  checksum: ascii(148, 8),
  type: ascii(156, 1),
  magic: ascii(257, 6),
  version: ascii(263, 2),
});

/** A name too long for the field keeps its end, where the file's own name is. */
export function tarHeader(name: string, bytes: number): Uint8Array {
  const block = new Uint8Array(header.size);
  header.write(block, {
    name: name.slice(-100),
    mode: octal(0o644, 8),
    uid: octal(0, 8),
    gid: octal(0, 8),
    size: octal(bytes, 12),
    mtime: octal(0, 12),
    checksum: ' '.repeat(8),
    type: '0',
    magic: 'ustar\0',
    version: '00',
  });
  const sum = block.reduce((total, byte) => total + byte, 0);
  header.write(block, { checksum: octal(sum, 7) });
  return block;
}

/** Digits and a NUL that fill a field. */
function octal(value: number, size: number): string {
  return `${value.toString(8).padStart(size - 1, '0')}\0`;
}
