/** What the tests of this folder share: a folder for files, and disks opened, compared and patched. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { MiB } from '../base/index.ts';
import { FileReader, type RangeReader } from '../disk/index.ts';
import { openVhdxChain } from './chain.ts';
import type { VhdxDisk } from './disk.ts';
import { checksumOf } from './format.ts';

/** A folder that is removed when the file's tests have ended. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-vhdx-'));
  after(() => rmSync(folder, { recursive: true }));
  return folder;
}

export const openFile = (path: string): Promise<RangeReader> => FileReader.open(path);

/** Opens the chain at `path` for the time of `use`. */
export async function withChain<T>(path: string, use: (disk: VhdxDisk) => Promise<T>): Promise<T> {
  const disk = await openVhdxChain(path, { open: openFile });
  try {
    return await use(disk);
  } finally {
    await disk.close();
  }
}

/** All bytes of a small disk. */
export function contentOf(path: string): Promise<Buffer> {
  return withChain(path, async (disk) => {
    const bytes = Buffer.alloc(disk.size);
    await disk.read(0, bytes);
    return bytes;
  });
}

/** Asserts equality and names the first byte that differs; `deepEqual` on megabytes prints for minutes. */
export function assertSameBytes(got: Uint8Array, expected: Uint8Array, where: string): void {
  if (Buffer.compare(got, expected) === 0) return;
  const at = got.findIndex((byte, index) => byte !== expected[index]);
  assert.fail(`${where}: byte ${at} is ${got[at]} instead of ${expected[at]}`);
}

/** A counter of open readers: what was not closed is left in it. */
export function openCounter(): { open: (path: string) => Promise<RangeReader>; readonly left: number } {
  let left = 0;
  return {
    async open(path) {
      const reader = await FileReader.open(path);
      left += 1;
      let closed = false;
      return {
        size: reader.size,
        read: (offset, into, options) => reader.read(offset, into, options),
        close() {
          if (!closed) left -= 1;
          closed = true;
          return reader.close();
        },
      };
    },
    get left() {
      return left;
    },
  };
}

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
