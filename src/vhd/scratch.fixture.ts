/** What the tests of this folder share: a folder for files, and disks opened, compared and patched. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { FileReader, type RangeReader } from '../disk/index.ts';
import { sealed } from './built-vhd.fixture.ts';
import { openVhdChain } from './chain.ts';
import type { VhdDisk } from './disk.ts';

/** A folder that is removed when the file's tests have ended. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-vhd-'));
  after(() => rmSync(folder, { recursive: true }));
  return folder;
}

export const openFile = (path: string): Promise<RangeReader> => FileReader.open(path);

/** Opens the chain at `path` for the time of `use`. */
export async function withChain<T>(path: string, use: (disk: VhdDisk) => Promise<T>): Promise<T> {
  const disk = await openVhdChain(path, { open: openFile });
  try {
    return await use(disk);
  } finally {
    await disk.close();
  }
}

/** All bytes of a small disk. */
export function contentOf(path: string): Promise<Buffer> {
  return withChain(path, async (disk) => {
    const bytes = Buffer.alloc(disk.size, 0xee);
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
