import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { requires } from '../../test/requires.ts';
import { KiB, MiB } from '../base/index.ts';
import { alignedBytes } from './aligned-bytes.ts';
import { BlockingWriter } from './blocking-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-unbuffered-'));
after(() => rmSync(folder, { recursive: true }));

const SIZE = 4 * MiB;

function fresh(path: string): string {
  writeFileSync(path, '');
  truncateSync(path, SIZE);
  return path;
}

/** Places and lengths on pages, off them, too short to go past the cache, and longer than what is copied at once. */
const write = fc.record({
  position: fc.oneof(
    fc.nat(15).map((n) => n * 128 * KiB + 4 * KiB),
    fc.nat(2 * MiB),
  ),
  length: fc.oneof(fc.constantFrom(256 * KiB, MiB, MiB + 300 * KiB, 2 * MiB), fc.nat(2 * MiB)),
  fill: fc.integer({ min: 1, max: 255 }),
  /** Where the bytes are in memory: on a page, behind the start of one, anywhere. */
  memory: fc.constantFrom('aligned' as const, 'beside' as const, 'any' as const),
});

const room = alignedBytes(3 * MiB);

function bytesIn(memory: 'aligned' | 'beside' | 'any', length: number, fill: number): Uint8Array {
  if (memory === 'any') return Buffer.alloc(length, fill);
  const start = memory === 'aligned' ? 4 * KiB : 512;
  return room.subarray(start, start + length).fill(fill);
}

function checkWrites(path: string): void {
  fc.assert(
    fc.property(fc.array(write, { maxLength: 6 }), (writes) => {
      const expected = Buffer.alloc(SIZE);
      const writer = new BlockingWriter();
      fresh(path);
      for (const { position, length, fill, memory } of writes) {
        const bytes = bytesIn(memory, length, fill);
        expected.set(bytes, position);
        writer.writeSparse(path, position, bytes, { durable: true });
      }
      writer.close();
      assert.ok(readFileSync(path).equals(expected));
    }),
    { numRuns: 40 },
  );
}

test('what is written past the cache and what is not are one file', () => {
  checkWrites(join(folder, 'mixed'));
});

const MEMORY = '/dev/shm';
const noMemory = existsSync(MEMORY) ? {} : { skip: `no ${MEMORY}; not proved: writing where it is not for` };

test('a file system that it is not for is written the usual way', noMemory, () => {
  const path = join(MEMORY, `hvlift-unbuffered-${process.pid}`);
  try {
    checkWrites(path);
  } finally {
    rmSync(path, { force: true });
  }
});

const isExt = [0xef53, 0x58465342].includes(statfsSync(folder).type);
const needed = isExt
  ? requires(['fincore'], 'that large writes leave the page cache alone')
  : { skip: 'no ext4 or XFS; not proved: that large writes leave the page cache alone' };

test('a durable image leaves no pages in the cache, another one does', needed, () => {
  const cached = (durable: boolean): number => {
    const path = fresh(join(folder, `durable-${durable}`));
    const writer = new BlockingWriter();
    for (let at = 0; at < SIZE; at += MiB) writer.writeSparse(path, at, Buffer.alloc(MiB, 1), { durable });
    writer.close();
    return Number(execFileSync('fincore', ['-b', '-n', '-r', '-o', 'RES', path], { encoding: 'utf8' }));
  };
  assert.equal(cached(true), 0);
  assert.ok(cached(false) > 0);
});
