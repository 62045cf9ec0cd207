/** What the tests of the formats of chains share: a folder for files, and disks opened, read whole and compared. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { FileReader, type Disk, type RangeReader } from '../disk/index.ts';
import type { OpenChainOptions } from './open-chain.ts';

/** A folder that is removed when the file's tests have ended. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-chain-'));
  after(() => rmSync(folder, { recursive: true }));
  return folder;
}

export const openFile = (path: string): Promise<RangeReader> => FileReader.open(path);

export interface WholeReads<D> {
  /** Opens the chain at `path` for the time of `use`. */
  readonly withChain: <T>(path: string, use: (disk: D) => Promise<T>) => Promise<T>;
  /** All bytes of a small disk. */
  readonly contentOf: (path: string) => Promise<Buffer>;
}

export function wholeReads<D extends Disk>(
  openChain: (path: string, options: OpenChainOptions) => Promise<D>,
): WholeReads<D> {
  async function withChain<T>(path: string, use: (disk: D) => Promise<T>): Promise<T> {
    const disk = await openChain(path, { open: openFile });
    try {
      return await use(disk);
    } finally {
      await disk.close();
    }
  }
  const contentOf = (path: string): Promise<Buffer> =>
    withChain(path, async (disk) => {
      // Not zeros: a byte that a read leaves alone must show.
      const bytes = Buffer.alloc(disk.size, 0xee);
      await disk.read(0, bytes);
      return bytes;
    });
  return { withChain, contentOf };
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
