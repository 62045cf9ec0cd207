import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { KiB, MiB, hasCode, newGuid } from '../base/index.ts';
import { beside, buildVhd } from './built-vhd.fixture.ts';
import { createVhd } from './create.ts';
import { assertSameBytes, contentOf, patch, scratchFolder, withChain } from './scratch.fixture.ts';
import { openVhdWritable } from './vhd-file.ts';

const folder = scratchFolder();
let names = 0;
const newPath = (): string => join(folder, `${(names += 1)}.vhd`);

async function newDisk(size: number, kind: 'dynamic' | 'fixed' = 'dynamic'): Promise<string> {
  const path = newPath();
  await createVhd(path, { size, kind, ...(kind === 'dynamic' ? { blockSize: 512 * KiB } : {}) });
  return path;
}

const notesOf = (path: string): Promise<readonly string[]> =>
  withChain(path, async (disk) => disk.files[0]!.notes);

test('opening without writing changes no byte of the file', async () => {
  const path = await newDisk(2 * MiB);
  const before = readFileSync(path);
  const file = await openVhdWritable(path);
  await file.flush();
  await file.close();
  assertSameBytes(readFileSync(path), before, 'untouched');
});

const anySteps = fc.array(
  fc.record({
    kind: fc.constantFrom(
      'write' as const,
      'write' as const,
      'zero' as const,
      'flush' as const,
      'reopen' as const,
    ),
    at: fc.nat({ max: 6143 }),
    sectors: fc.integer({ min: 1, max: 2500 }),
    fill: fc.nat({ max: 255 }),
  }),
  { minLength: 1, maxLength: 12 },
);

test('a process that dies anywhere leaves a disk in which each sector is old or new; a flush makes it new', async () => {
  const size = 3 * MiB;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('dynamic' as const, 'fixed' as const), anySteps, async (kind, steps) => {
      const path = await newDisk(size, kind);
      const crashed = newPath();
      let file = await openVhdWritable(path);
      let states = [Buffer.alloc(size)];
      for (const step of steps) {
        const now = Buffer.from(states.at(-1)!);
        const offset = step.at * 512;
        const length = Math.min(step.sectors * 512, size - offset);
        if (step.kind === 'write') await file.write(offset, Buffer.alloc(length, step.fill));
        else if (step.kind === 'zero') await file.zero(offset, length);
        else if (step.kind === 'flush') await file.flush();
        else {
          await file.close();
          file = await openVhdWritable(path);
        }
        if (step.kind === 'write' || step.kind === 'zero') {
          states.push(now.fill(step.kind === 'zero' ? 0 : step.fill, offset, offset + length));
        } else {
          states = [now];
        }
        copyFileSync(path, crashed);
        assertOneOf(await contentOf(crashed), states);
      }
      await file.close();
      assertSameBytes(await contentOf(path), states.at(-1)!, 'closed');
      assert.deepEqual(await notesOf(path), []);
      await rm(path);
      await rm(crashed);
    }),
    { numRuns: 15, endOnFailure: true },
  );
});

function assertOneOf(got: Buffer, states: readonly Buffer[]): void {
  for (let at = 0; at < got.length; at += 512) {
    const sector = got.subarray(at, at + 512);
    const known = states.some((state) => state.compare(sector, 0, 512, at, at + 512) === 0);
    assert.ok(known, `the sector at ${at} is neither old nor new`);
  }
}

test('blocks added since the last flush are not there after a crash; the copy of the footer stands in for the end', async () => {
  const path = await newDisk(4 * MiB);
  const file = await openVhdWritable(path);
  await file.write(0, Buffer.alloc(MiB, 1));
  await file.flush();
  await file.write(MiB, Buffer.alloc(MiB, 2));
  const crashed = newPath();
  copyFileSync(path, crashed);
  assertSameBytes(await contentOf(crashed), Buffer.alloc(4 * MiB).fill(1, 0, MiB), 'as flushed');
  assert.deepEqual(await notesOf(crashed), ['footerCopyUsed']);
  await file.close();
  const again = await openVhdWritable(crashed);
  await again.write(2 * MiB, Buffer.alloc(MiB, 3));
  await again.close();
  const expected = Buffer.alloc(4 * MiB)
    .fill(1, 0, MiB)
    .fill(3, 2 * MiB, 3 * MiB);
  assertSameBytes(await contentOf(crashed), expected, 'gone on with');
  assert.deepEqual(await notesOf(crashed), []);
});

test('a damaged copy of the footer is made good before the end of the file is overwritten', async () => {
  const path = await newDisk(4 * MiB);
  patch(path, 20, Buffer.alloc(100, 0xee));
  assert.deepEqual(await notesOf(path), ['footersDiffer']);
  const file = await openVhdWritable(path);
  await file.write(0, Buffer.alloc(512, 1));
  const crashed = newPath();
  copyFileSync(path, crashed);
  assertSameBytes(await contentOf(crashed), Buffer.alloc(4 * MiB), 'the copy serves');
  await file.close();
});

test('zeros take no room where nothing is, and room is taken in whole blocks', async () => {
  const path = await newDisk(64 * MiB);
  const before = statSync(path).size;
  const file = await openVhdWritable(path);
  await file.write(0, Buffer.alloc(8 * MiB));
  await file.zero(8 * MiB, 56 * MiB);
  await file.flush();
  assert.equal(statSync(path).size, before);
  await file.write(MiB, Buffer.alloc(512, 1));
  await file.close();
  assert.ok(statSync(path).size >= before + 512 * KiB && statSync(path).size < before + 520 * KiB);
});

test('sectors that another writer left out of a block stay zeros when the block is written, whatever lies there', async () => {
  const path = newPath();
  const data = Buffer.alloc(64 * KiB, 0xdd);
  const blocks = [{ index: 0, data, has: (sector: number) => sector % 5 === 0 }];
  buildVhd(path, { kind: 'dynamic', size: 128 * KiB, uniqueId: newGuid(), blockSize: 64 * KiB, blocks });
  const expected = await contentOf(path);
  const file = await openVhdWritable(path);
  await file.write(1024, Buffer.alloc(512, 1));
  const crashed = newPath();
  copyFileSync(path, crashed);
  assertSameBytes(await contentOf(crashed), expected, 'before the flush');
  await file.close();
  assertSameBytes(await contentOf(path), Buffer.from(expected).fill(1, 1024, 1536), 'after it');
});

test('a last block that another writer cut at the end of the disk keeps its room when blocks are added', async () => {
  const path = newPath();
  const size = 128 * KiB + 512;
  const blocks = [{ index: 2, data: Buffer.alloc(64 * KiB, 2) }];
  const { length } = buildVhd(path, {
    kind: 'dynamic',
    size,
    uniqueId: newGuid(),
    blockSize: 64 * KiB,
    blocks,
  });
  truncateSync(path, length - 512 - 64 * KiB + 512);
  const file = await openVhdWritable(path);
  await file.write(0, Buffer.alloc(64 * KiB, 1));
  await file.write(128 * KiB, Buffer.alloc(512, 3));
  await file.close();
  const expected = Buffer.concat([Buffer.alloc(64 * KiB, 1), Buffer.alloc(64 * KiB), Buffer.alloc(512, 3)]);
  assertSameBytes(await contentOf(path), expected, 'with a block more');
});

test('writes, zeros and flushes at once, on ranges of their own, end as if done one by one', async () => {
  const size = 16 * MiB;
  const path = await newDisk(size);
  const file = await openVhdWritable(path);
  const expected = Buffer.alloc(size);
  const tasks: Promise<void>[] = [];
  for (let at = 0, n = 1; at + 300 * KiB <= size; at += 300 * KiB, n += 1) {
    if (n % 3 === 0) tasks.push(file.zero(at, 300 * KiB));
    else tasks.push(file.write(at, Buffer.alloc(300 * KiB, n)));
    if (n % 10 === 0) tasks.push(file.flush());
    expected.fill(n % 3 === 0 ? 0 : n, at, at + 300 * KiB);
  }
  await Promise.all(tasks);
  await file.close();
  assertSameBytes(await contentOf(path), expected, 'at once');
});

test('what is not whole sectors, not on the disk, or after close is refused, and so is a differencing disk', async () => {
  const path = await newDisk(2 * MiB);
  const file = await openVhdWritable(path);
  const refused = (task: Promise<unknown>, code: string): Promise<void> =>
    assert.rejects(task, (e) => hasCode(e, code));
  await refused(file.write(100, Buffer.alloc(512)), 'VHD_UNALIGNED_WRITE');
  await refused(file.write(0, Buffer.alloc(100)), 'VHD_UNALIGNED_WRITE');
  await refused(file.zero(0, 100), 'VHD_UNALIGNED_WRITE');
  await refused(file.write(2 * MiB - 512, Buffer.alloc(1024)), 'DISK_OUT_OF_RANGE');
  const signal = AbortSignal.abort(new Error('stop'));
  await assert.rejects(file.write(0, Buffer.alloc(512), { signal }), /stop/);
  await assert.rejects(file.zero(0, 512, { signal }), /stop/);
  const last = file.write(0, Buffer.alloc(512, 1));
  await Promise.all([last, file.close()]);
  assert.equal((await contentOf(path))[0], 1, 'a write under way ends before the file is closed');
  await file.close();
  await refused(file.write(0, Buffer.alloc(512)), 'DISK_CLOSED');
  await refused(file.flush(), 'DISK_CLOSED');
  const child = newPath();
  const parentId = newGuid();
  buildVhd(child, { kind: 'differencing', size: MiB, uniqueId: newGuid(), parentId, locators: beside('x') });
  await refused(openVhdWritable(child), 'VHD_DIFFERENCING_READ_ONLY');
});

test('a file that was cut is not opened to be written', async () => {
  const path = await newDisk(2 * MiB);
  const file = await openVhdWritable(path);
  await file.write(0, Buffer.alloc(2 * MiB, 1));
  await file.close();
  truncateSync(path, MiB);
  await assert.rejects(openVhdWritable(path), (e) => hasCode(e, 'VHD_BLOCK_PLACE'));
});
