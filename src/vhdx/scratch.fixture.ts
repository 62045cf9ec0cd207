/** What the tests of this folder share: disks opened, compared and patched. */
import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { MiB } from '../base/index.ts';
import { wholeReads } from '../chain/scratch.fixture.ts';
import { openVhdxChain } from './chain.ts';
import { checksumOf } from './format.ts';

export { assertSameBytes, openCounter, openFile, scratchFolder } from '../chain/scratch.fixture.ts';

export const { withChain, contentOf } = wholeReads(openVhdxChain);

/** Where the files of this module have their tables. */
export const TABLES = { log: MiB, metadata: 2 * MiB, bat: 3 * MiB } as const;

/** Overwrites bytes of a file. */
export async function patch(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
}

export function u32Bytes(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

export function u64Bytes(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}

/** One entry of the block table, by its index in the table. */
export async function patchEntry(
  path: string,
  entry: number,
  state: number,
  offsetMiB: number,
): Promise<void> {
  await patch(path, TABLES.bat + 8 * entry, u64Bytes((BigInt(offsetMiB) << 20n) | BigInt(state)));
}

/** Changes bytes of both copies of a checksummed structure and gives them a right checksum again. */
export function patchSealed(
  path: string,
  copies: readonly number[],
  size: number,
  at: number,
  bytes: Uint8Array,
): void {
  const file = readFileSync(path);
  for (const copy of copies) {
    const structure = file.subarray(copy, copy + size);
    structure.set(bytes, at);
    structure.writeUInt32LE(checksumOf(structure), 4);
  }
  writeFileSync(path, file);
}
