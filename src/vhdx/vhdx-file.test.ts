import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { KiB, MiB, hasCode } from '../base/index.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import { TABLES, assertSameBytes, contentOf, openFile, patch, scratchFolder } from './scratch.fixture.ts';
import { readVhdxInfo, type VhdxInfo } from './structure.ts';
import { openVhdxWritable } from './vhdx-file.ts';

const folder = scratchFolder();
let names = 0;
const newPath = (): string => join(folder, `${(names += 1)}.vhdx`);

async function infoAt(path: string): Promise<VhdxInfo> {
  const reader = await openFile(path);
  const info = await readVhdxInfo(reader);
  await reader.close();
  return info;
}

async function fullDisk(size: number, blockSize: number): Promise<string> {
  const path = newPath();
  await createVhdx(path, { size, kind: 'dynamic', blockSize });
  const file = await openVhdxWritable(path);
  await file.write(0, Buffer.alloc(size, 0xaa));
  await file.close();
  return path;
}

/** The sequence numbers in the two header slots. */
function sequences(path: string): bigint[] {
  const file = readFileSync(path);
  return [64 * KiB, 128 * KiB].map((at) => file.readBigUInt64LE(at + 8));
}

test('opening without writing changes no byte of the file', async () => {
  const path = await fullDisk(2 * MiB, MiB);
  const before = readFileSync(path);
  const file = await openVhdxWritable(path);
  await file.flush();
  await file.close();
  assertSameBytes(readFileSync(path), before, 'untouched');
});

test('the first write of a session, and no later one, gives new identities by both headers in turn', async () => {
  const path = await fullDisk(2 * MiB, MiB);
  const before = await infoAt(path);
  const [one, two] = sequences(path) as [bigint, bigint];
  const file = await openVhdxWritable(path);
  await file.write(0, Buffer.alloc(512, 1));
  const { replay, ...after } = await infoAt(path);
  assert.equal(replay?.sectors, 1, 'the first entry of the log, which changes nothing');
  assert.notEqual(after.dataWriteGuid, before.dataWriteGuid);
  assert.notEqual(after.fileWriteGuid, before.fileWriteGuid);
  const highest = one > two ? one : two;
  assert.deepEqual(new Set(sequences(path)), new Set([highest + 3n, highest + 4n]));
  assert.equal(after.logReplayed, true);
  await file.write(512, Buffer.alloc(512, 1));
  await file.close();
  assert.deepEqual(await infoAt(path), { ...after, logReplayed: false });
});

test('zeros written to a block that a child does not have are zeros, not nothing: the parent’s data does not come back', async () => {
  const parentPath = await fullDisk(2 * MiB, MiB);
  const path = join(folder, 'zeroed.avhdx');
  await createDifferencingVhdx(path, { parentPath, blockSize: MiB });
  const file = await openVhdxWritable(path);
  await file.zero(0, MiB);
  await file.write(MiB, Buffer.alloc(4096));
  await file.close();
  const expected = await contentOf(parentPath);
  assert.ok(
    expected.subarray(0, MiB + 4096).every((byte) => byte !== 0),
    'the parent has data there',
  );
  assertSameBytes(await contentOf(path), expected.fill(0, 0, MiB + 4096), 'zeros');
});

test('what is not whole sectors, not on the disk, or after close is refused', async () => {
  const path = newPath();
  await createVhdx(path, { size: 2 * MiB, kind: 'dynamic', blockSize: MiB, logicalSectorSize: 4096 });
  const file = await openVhdxWritable(path);
  const refused = (task: Promise<void>, code: string): Promise<void> =>
    assert.rejects(task, (e) => hasCode(e, code));
  await refused(file.write(512, Buffer.alloc(4096)), 'VHDX_UNALIGNED_WRITE');
  await refused(file.write(0, Buffer.alloc(512)), 'VHDX_UNALIGNED_WRITE');
  await refused(file.zero(0, 100), 'VHDX_UNALIGNED_WRITE');
  await refused(file.write(2 * MiB - 4096, Buffer.alloc(8192)), 'DISK_OUT_OF_RANGE');
  await file.close();
  await file.close();
  await refused(file.write(0, Buffer.alloc(4096)), 'DISK_CLOSED');
  await refused(file.flush(), 'DISK_CLOSED');
});

test('zeroed blocks give their room to later ones, in this session after a flush and in the next', async () => {
  const path = await fullDisk(8 * MiB, MiB);
  const { size } = statSync(path);
  const file = await openVhdxWritable(path);
  await file.zero(0, 8 * MiB);
  await file.flush();
  await file.write(0, Buffer.alloc(4 * MiB, 1));
  await file.close();
  const again = await openVhdxWritable(path);
  // One sector in each: what lay there before must not show through.
  for (let block = 4; block < 8; block += 1) await again.write(block * MiB + 512, Buffer.alloc(512, 2));
  await again.close();
  assert.equal(statSync(path).size, size);
  const expected = Buffer.alloc(8 * MiB).fill(1, 0, 4 * MiB);
  for (let block = 4; block < 8; block += 1) expected.fill(2, block * MiB + 512, block * MiB + 1024);
  assertSameBytes(await contentOf(path), expected, 'reused');
});

/** State and place of the first `count` blocks; there is no bitmap entry between them. */
function entriesOf(path: string, count: number): { state: number; offsetMiB: number }[] {
  const file = readFileSync(path);
  return Array.from({ length: count }, (_, n) => {
    const entry = file.readBigUInt64LE(TABLES.bat + 8 * n);
    return { state: Number(entry & 7n), offsetMiB: Number(entry >> 20n) };
  });
}

for (const kind of ['dynamic', 'fixed', 'differencing'] as const) {
  test(`what is trimmed reads as zeros, whole blocks and the parts at both ends: ${kind}`, async () => {
    const parentPath = await fullDisk(8 * MiB, MiB);
    const path = newPath();
    if (kind === 'differencing') await createDifferencingVhdx(path, { parentPath, blockSize: MiB });
    else await createVhdx(path, { size: 8 * MiB, kind, blockSize: MiB });
    const file = await openVhdxWritable(path);
    // In a child, blocks 4 to 7 are the parent's when they are trimmed.
    await file.write(0, Buffer.alloc(kind === 'differencing' ? 4 * MiB : 8 * MiB, 0xbb));
    await file.trim(MiB - 4096, 5 * MiB + 8192);
    await file.flush();
    const expected = Buffer.alloc(8 * MiB, kind === 'differencing' ? 0xaa : 0xbb)
      .fill(0xbb, 0, 4 * MiB)
      .fill(0, MiB - 4096, 6 * MiB + 4096);
    assertSameBytes(await contentOf(path), expected, kind);
    const states = entriesOf(path, 6).map(({ state }) => state);
    const unmapped = kind === 'fixed' ? 6 : 3;
    assert.deepEqual(states, [6, ...Array.from({ length: 5 }, () => unmapped)]);
    await file.close();
    assertSameBytes(await contentOf(path), expected, `${kind} closed`);
  });
}

test('the room of trimmed blocks is taken by later ones before the file grows', async () => {
  const path = await fullDisk(8 * MiB, MiB);
  const file = await openVhdxWritable(path);
  const places = new Set(entriesOf(path, 8).map(({ offsetMiB }) => offsetMiB));
  await file.trim(0, 8 * MiB);
  await file.flush();
  for (let block = 7; block >= 0; block -= 1) await file.write(block * MiB, Buffer.alloc(MiB, block));
  await file.close();
  assert.deepEqual(new Set(entriesOf(path, 8).map(({ offsetMiB }) => offsetMiB)), places);
  const expected = Buffer.concat(Array.from({ length: 8 }, (_, n) => Buffer.alloc(MiB, n)));
  assertSameBytes(await contentOf(path), expected, 'written again');
});

test('room released since the last flush is not written: a crash still finds the old content there', async () => {
  const path = await fullDisk(4 * MiB, MiB);
  const file = await openVhdxWritable(path);
  await file.zero(0, 2 * MiB);
  await file.write(0, Buffer.alloc(MiB, 1));
  const crashed = newPath();
  copyFileSync(path, crashed);
  assertSameBytes(await contentOf(crashed), Buffer.alloc(4 * MiB, 0xaa), 'before the flush');
  await file.close();
});

test('bits that a dead process left for a block that is not present do not show when the block is made', async () => {
  const base = await fullDisk(4 * MiB, MiB);
  const path = newPath();
  await createDifferencingVhdx(path, { parentPath: base });
  const first = await openVhdxWritable(path);
  await first.write(0, Buffer.alloc(512, 1));
  await first.close();
  // The chunk's bitmap lies behind block 0; the bits of block 1 follow the 512 bytes of block 0's.
  await patch(path, 6 * MiB + 512, Buffer.alloc(512, 0xff));
  const second = await openVhdxWritable(path);
  await second.write(2 * MiB, Buffer.alloc(512, 2));
  await second.close();
  const expected = Buffer.alloc(4 * MiB, 0xaa)
    .fill(1, 0, 512)
    .fill(2, 2 * MiB, 2 * MiB + 512);
  assertSameBytes(await contentOf(path), expected, 'chain');
});

test('a buffer is the caller’s own again when write has returned', async () => {
  const path = await fullDisk(16 * MiB, MiB);
  const file = await openVhdxWritable(path);
  const buffer = Buffer.alloc(MiB);
  for (let n = 0; n < 16; n += 1) await file.write(n * MiB, buffer.fill(n));
  buffer.fill(0xff);
  await file.close();
  const expected = Buffer.concat(Array.from({ length: 16 }, (_, n) => Buffer.alloc(MiB, n)));
  assertSameBytes(await contentOf(path), expected, 'reused buffer');
});

const anyWrites = fc.array(
  fc.record({
    at: fc.nat({ max: 4 * 2048 - 1 }),
    sectors: fc.integer({ min: 1, max: 3000 }),
    fill: fc.integer({ min: 1, max: 255 }),
    zero: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);

test('a process that dies between flushes leaves a sound chain in which each sector is old or new', async () => {
  const size = 4 * MiB;
  await fc.assert(
    fc.asyncProperty(anyWrites, async (writes) => {
      const base = await fullDisk(size, MiB);
      const path = newPath();
      await createDifferencingVhdx(path, { parentPath: base, blockSize: 2 * MiB });
      const file = await openVhdxWritable(path);
      await file.write(MiB, Buffer.alloc(4096, 0xbb));
      await file.flush();
      const old = await contentOf(path);
      const states = [old];
      for (const { at, sectors, fill, zero } of writes) {
        const next = Buffer.from(states.at(-1)!);
        const length = Math.min(sectors * 512, size - at * 512);
        if (zero) await file.zero(at * 512, length);
        else await file.write(at * 512, Buffer.alloc(length, fill));
        states.push(next.fill(zero ? 0 : fill, at * 512, at * 512 + length));
      }
      const crashed = newPath();
      copyFileSync(path, crashed);
      const got = await contentOf(crashed);
      for (let at = 0; at < size; at += 512) {
        assert.ok(
          states.some((state) => state[at] === got[at]),
          `sector at ${at}`,
        );
      }
      await file.close();
      assertSameBytes(await contentOf(path), states.at(-1)!, 'after the flush');
    }),
    { numRuns: 12 },
  );
});

test('writes, zeros and flushes at once, on ranges of their own, end as if done one by one', async () => {
  const size = 32 * MiB;
  const base = await fullDisk(size, 2 * MiB);
  const path = newPath();
  await createDifferencingVhdx(path, { parentPath: base, blockSize: MiB });
  const file = await openVhdxWritable(path);
  const expected = Buffer.alloc(size, 0xaa);
  const tasks: Promise<void>[] = [];
  for (let at = 0, n = 0; at + 300 * KiB <= size; at += 300 * KiB, n += 1) {
    if (n % 3 === 0) tasks.push(file.zero(at, 300 * KiB));
    else tasks.push(file.write(at, Buffer.alloc(300 * KiB, n)));
    if (n % 10 === 0) tasks.push(file.flush());
    expected.fill(n % 3 === 0 ? 0 : n, at, at + 300 * KiB);
  }
  await Promise.all(tasks);
  await file.close();
  assertSameBytes(await contentOf(path), expected, 'at once');
});

test('a file that exists is never overwritten, and shapes the format does not know are refused', async () => {
  const path = await fullDisk(MiB, MiB);
  const before = readFileSync(path);
  await assert.rejects(createVhdx(path, { size: MiB, kind: 'fixed' }), (e) => hasCode(e, 'VHDX_FILE_EXISTS'));
  assertSameBytes(readFileSync(path), before, 'kept');
  const bad = [
    { size: 1000 },
    { size: 0 },
    { size: 2 ** 46 + 4096 },
    { size: MiB, blockSize: 3 * MiB },
    { size: MiB, blockSize: 512 * MiB },
    { size: MiB, logicalSectorSize: 1024 },
    { size: MiB, physicalSectorSize: 0 },
    { size: 512, logicalSectorSize: 4096 },
  ];
  for (const shape of bad) {
    await assert.rejects(createVhdx(newPath(), { ...shape, kind: 'dynamic' }), (e) =>
      hasCode(e, 'VHDX_BAD_SHAPE'),
    );
  }
});

test('a file being written reads as it is at that moment, flushed or not; a child, which is not all of its disk, is not read', async () => {
  const path = newPath();
  await createVhdx(path, { size: 16 * MiB, kind: 'dynamic', blockSize: MiB });
  const file = await openVhdxWritable(path);
  const expected = Buffer.alloc(16 * MiB);
  const assertReads = async (what: string): Promise<void> => {
    const bytes = Buffer.alloc(16 * MiB, 0xee);
    await file.read(0, bytes);
    assertSameBytes(bytes, expected, what);
  };
  await file.write(700 * KiB, expected.fill(7, 700 * KiB, 3 * MiB).subarray(700 * KiB, 3 * MiB));
  await assertReads('unflushed');
  assert.deepEqual(await Array.fromAsync(file.allocated()), [{ offset: 0, length: 3 * MiB }]);
  await file.flush();
  await file.zero(MiB, MiB);
  expected.fill(0, MiB, 2 * MiB);
  await assertReads('zeroed');
  // The room of the emptied block is used again after a flush: by the block at 9 MiB.
  await file.flush();
  await file.write(9 * MiB, expected.fill(9, 9 * MiB, 9 * MiB + 512).subarray(9 * MiB, 9 * MiB + 512));
  await assertReads('in used room');
  await file.close();
  await assert.rejects(file.read(0, new Uint8Array(512)), (e) => hasCode(e, 'DISK_CLOSED'));
  const child = newPath();
  await createDifferencingVhdx(child, { parentPath: path });
  const open = await openVhdxWritable(child);
  await assert.rejects(open.read(0, new Uint8Array(512)), (e) => hasCode(e, 'VHDX_NEEDS_PARENT'));
  assert.throws(
    () => open.allocated(),
    (e) => hasCode(e, 'VHDX_NEEDS_PARENT'),
  );
  await open.close();
});
