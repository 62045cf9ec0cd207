import assert from 'node:assert/strict';
import { readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { GiB, MiB, hasCode } from '../base/index.ts';
import { MemoryFile, Recorder, crashStates } from '../chain/crash.fixture.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import { HeaderWriter } from './header.ts';
import { Journal } from './journal.ts';
import { logEntryBytes, sectorsIn, type TableSector } from './log-entry.ts';
import { LogRing } from './log.ts';
import {
  TABLES,
  assertSameBytes,
  contentOf,
  patchSealed,
  scratchFolder,
  u32Bytes,
  u64Bytes,
  withChain,
} from './scratch.fixture.ts';
import { readStructure, readVhdxInfo } from './structure.ts';
import { openVhdxWritable, writableOver } from './vhdx-file.ts';

const folder = scratchFolder();
const path = join(folder, 'base.vhdx');
let image: Buffer;

before(async () => {
  // A table of 1 MiB: 131072 blocks.
  await createVhdx(path, { size: 127 * GiB, kind: 'dynamic', blockSize: MiB });
  image = readFileSync(path);
});

const SECTOR = 4096;

test('an entry is read back as it was made, sectors of zeros among the others', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 255 }), fc.nat({ max: 1000 })), { minLength: 1, maxLength: 260 }),
      fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
      (fills, sequenceNumber) => {
        const sectors = fills.map(([fill, at]): TableSector => {
          return {
            fileOffset: 4 * MiB + at * SECTOR,
            bytes: new Uint8Array(SECTOR).map((_, i) => fill && fill + i),
          };
        });
        const logGuid = 'e7d8a2c4-5d0c-4f7e-8b1a-0c5d7e9f1a2b';
        const ring = new Uint8Array(4 * MiB);
        ring.set(
          logEntryBytes({ logGuid, sequenceNumber, tail: SECTOR, fileSize: 9 * MiB }, sectors),
          SECTOR,
        );
        const log = new LogRing(ring, logGuid);
        const [entry] = log.activeSequence();
        assert.deepEqual([entry!.sequenceNumber, entry!.lastFileOffset], [sequenceNumber, 9 * MiB]);
        const got = [...log.changes(entry!)];
        assert.equal(got.length, sectors.length);
        got.forEach((change, index) => {
          assert.equal(change.fileOffset, sectors[index]!.fileOffset);
          assertSameBytes(change.data ?? new Uint8Array(SECTOR), sectors[index]!.bytes, `sector ${index}`);
        });
      },
    ),
    { numRuns: 30 },
  );
});

test('an entry of as many sectors as are said to fit does fit, and one more does not', () => {
  for (const length of [8 * 1024, 64 * 1024, MiB / 2, 8 * MiB]) {
    const most = sectorsIn(length);
    const entryOf = (count: number): Uint8Array => {
      const sectors = Array.from({ length: count }, (_, n) => ({
        fileOffset: n * SECTOR,
        bytes: new Uint8Array(SECTOR).fill(1),
      }));
      const fields = {
        logGuid: 'e7d8a2c4-5d0c-4f7e-8b1a-0c5d7e9f1a2b',
        sequenceNumber: 1n,
        tail: 0,
        fileSize: 0,
      };
      return logEntryBytes(fields, sectors);
    };
    assert.ok(entryOf(most).length <= length && entryOf(most + 1).length > length, `${most} in ${length}`);
  }
});

test('commits of any size, around the end of the ring, are there whole or not at all after a power cut', async () => {
  const table = (fill: number, count: number, first: number): TableSector[] => {
    const bytes = new Uint8Array(count * SECTOR).fill(fill);
    return Array.from({ length: count }, (_, n) => ({
      fileOffset: TABLES.bat + (first + n) * SECTOR,
      bytes: bytes.subarray(n * SECTOR, (n + 1) * SECTOR),
    }));
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 126 }), fc.nat({ max: 130 })), {
        minLength: 4,
        maxLength: 7,
      }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })),
      async (commits, numbers) => {
        const recorder = new Recorder(image);
        const file = recorder.open(path);
        const structure = await readStructure(file, path);
        const journal = new Journal(file, new HeaderWriter(file, structure.header), structure.log!);
        const states = [await tableOf(file)];
        recorder.note(0);
        const commit = async (sectors: TableSector[], how: 'begin' | 'commit'): Promise<void> => {
          await (how === 'begin' ? journal.begin(sectors, {}) : journal.commit(sectors));
          recorder.note(states.push(await tableOf(file)) - 1);
        };
        await commit(table(1, 3, 0), 'begin');
        for (const [index, [count, first]] of commits.entries()) {
          await commit(table(index + 2, count, first), 'commit');
        }
        await journal.end();
        const random = (): number => numbers.next().value!;
        for (const { done, file: crashed } of crashStates(image, recorder.operations, {
          sectorSize: 512,
          statesEach: 12,
          random,
        })) {
          const last = recorder.operations.slice(0, done).findLast((operation) => operation.kind === 'note')!;
          const { reader } = await readStructure(crashed, path);
          const got = await tableOf(reader);
          const allowed = states.slice(last.note, last.note + 2);
          assert.ok(
            allowed.some((state) => state.equals(got)),
            `after ${done} operations`,
          );
        }
      },
    ),
    { numRuns: 4 },
  );
});

async function tableOf(reader: { read(offset: number, into: Uint8Array): Promise<void> }): Promise<Buffer> {
  const bytes = Buffer.alloc(MiB);
  await reader.read(TABLES.bat, bytes);
  return bytes;
}

/** Syncs of the file so far. */
const syncsOf = (recorder: Recorder): number =>
  recorder.operations.filter((operation) => operation.kind === 'sync').length;

test('a session costs three syncs to begin, two for a flush, one for a flush without new blocks, and four to close', async () => {
  const recorder = new Recorder(image);
  const file = await writableOver(recorder.open(path));
  const counted = async (task: () => Promise<void>): Promise<number> => {
    const before = syncsOf(recorder);
    await task();
    return syncsOf(recorder) - before;
  };
  assert.equal(await counted(() => file.flush()), 0, 'nothing was written');
  assert.equal(await counted(() => file.write(0, new Uint8Array(SECTOR))), 3, 'the first write');
  assert.equal(await counted(() => file.flush()), 2);
  for (let n = 0; n < 20; n += 1) await file.write(n * 512 * MiB, new Uint8Array(512).fill(n));
  assert.equal(await counted(() => file.flush()), 2, 'twenty blocks, each in a sector of its own');
  assert.equal(await counted(() => file.write(0, new Uint8Array(SECTOR))), 0);
  assert.equal(await counted(() => file.flush()), 1);
  await file.write(600 * MiB, new Uint8Array(SECTOR));
  assert.equal(await counted(() => file.close()), 4);
});

test('more changes than one entry holds are flushed in between, and nothing of them is lost', async () => {
  const large = join(folder, 'large.vhdx');
  const child = join(folder, 'large.avhdx');
  await createVhdx(large, { size: 300 * GiB, kind: 'dynamic', blockSize: MiB });
  await createDifferencingVhdx(child, { parentPath: large, blockSize: MiB });
  const file = await openVhdxWritable(child);
  const places = Array.from({ length: 300 }, (_, n) => n * GiB + 4096);
  for (const [n, offset] of places.entries()) await file.write(offset, Buffer.alloc(512, n));
  await file.zero(0, GiB);
  await file.close();
  await withChain(child, async (disk) => {
    const bytes = Buffer.alloc(1024);
    for (const [n, offset] of places.entries()) {
      await disk.read(offset, bytes);
      const expected = Buffer.concat([Buffer.alloc(512, n), Buffer.alloc(512)]);
      assert.ok(bytes.equals(expected), `place ${n}`);
    }
  });
});

test('after a sync that failed nothing is promised any more, and the log stays in force', async () => {
  const recorder = new Recorder(image);
  let broken = false;
  const file = await writableOver(recorder.open(path, () => broken));
  await file.write(0, new Uint8Array(SECTOR).fill(7));
  await file.flush();
  broken = true;
  await file.write(MiB, new Uint8Array(SECTOR).fill(8));
  await assert.rejects(file.flush(), (e) => hasCode(e, 'DISK_IO_FAILED'));
  broken = false;
  await assert.rejects(file.flush(), (e) => hasCode(e, 'DISK_IO_FAILED'));
  await assert.rejects(file.close(), (e) => hasCode(e, 'DISK_IO_FAILED'));
  const left = await readVhdxInfo(new MemoryFile(recorder.image));
  assert.equal(left.logReplayed, true);
});

test('a file that has no log gets one before it is written', async () => {
  const bare = join(folder, 'bare.vhdx');
  await createVhdx(bare, { size: 4 * MiB, kind: 'dynamic', blockSize: MiB });
  const headers = [64 * 1024, 128 * 1024];
  patchSealed(bare, headers, 4096, 68, u32Bytes(0));
  patchSealed(bare, headers, 4096, 72, u64Bytes(0n));
  truncateSync(bare, 4 * MiB);
  const file = await openVhdxWritable(bare);
  await file.write(0, Buffer.alloc(MiB, 5));
  await file.close();
  const again = await openVhdxWritable(bare);
  await again.write(MiB, Buffer.alloc(MiB, 6));
  await again.close();
  const expected = Buffer.concat([Buffer.alloc(MiB, 5), Buffer.alloc(MiB, 6), Buffer.alloc(2 * MiB)]);
  assertSameBytes(await contentOf(bare), expected, 'bare');
});
