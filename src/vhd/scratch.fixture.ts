/** What the tests of this folder share: disks opened, compared and patched. */
import { readFileSync, writeFileSync } from 'node:fs';
import { wholeReads } from '../chain/scratch.fixture.ts';
import { sealed } from './built-vhd.fixture.ts';
import { openVhdChain } from './chain.ts';

export { assertSameBytes, openCounter, openFile, scratchFolder } from '../chain/scratch.fixture.ts';

export const { withChain, contentOf } = wholeReads(openVhdChain);

/** Overwrites bytes of a file. */
export function patch(path: string, offset: number, bytes: Uint8Array): void {
  const file = readFileSync(path);
  file.set(bytes, offset < 0 ? file.length + offset : offset);
  writeFileSync(path, file);
}

/** Changes bytes of both footers and gives them a right checksum again. */
export function patchFooters(path: string, at: number, bytes: Uint8Array): void {
  const file = readFileSync(path);
  for (const start of [0, file.length - 512]) {
    const footer = file.subarray(start, start + 512);
    if (footer.toString('latin1', 0, 8) !== 'conectix') continue;
    footer.set(bytes, at);
    sealed(footer, 64);
  }
  writeFileSync(path, file);
}

/** Changes bytes of the dynamic header at 512 and gives it a right checksum again. */
export function patchHeader(path: string, at: number, bytes: Uint8Array): void {
  const file = readFileSync(path);
  const header = file.subarray(512, 1536);
  header.set(bytes, at);
  sealed(header, 36);
  writeFileSync(path, file);
}

export function u32Bytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64Bytes(value: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
