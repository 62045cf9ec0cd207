/**
 * Rules of MS-VHDX for who writes a file, where no other test is about them: docs/formats/vhdx.md lists all rules. What was
 * written is looked at byte by byte, with none of the layouts of format.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { offsetTable } from '../../test/offset-table.ts';
import { KiB, MiB, guidFromBytes, isZero } from '../base/index.ts';
import { Recorder, type FileOperation } from '../chain/crash.fixture.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import { DirtyLog } from './log-writer.fixture.ts';
import { repairVhdx } from './repair.ts';
import { TABLES, patchSealed, scratchFolder, u32Bytes, u64Bytes } from './scratch.fixture.ts';
import { settledStructure } from './settle.ts';
import { writableOver } from './vhdx-file.ts';

const folder = scratchFolder();
const path = join(folder, 'base.vhdx');
const child = join(folder, 'child.avhdx');
const HEADERS = [64 * KiB, 128 * KiB];

before(async () => {
  await createVhdx(path, { size: 8 * MiB, kind: 'dynamic', blockSize: MiB });
  await createDifferencingVhdx(child, { parentPath: path });
});

const ownOf = (recorder: Recorder): FileOperation[] =>
  recorder.operations.filter(({ kind }) => kind !== 'note');
const guidIn = (header: Uint8Array): string => guidFromBytes(header, 16);
const newestIn = (image: Buffer): Buffer => {
  const [one, two] = HEADERS.map((at) => image.subarray(at, at + 4 * KiB)) as [Buffer, Buffer];
  return one.readBigUInt64LE(8) > two.readBigUInt64LE(8) ? one : two;
};

/** The first thing done to the file is a header with a new FileWriteGuid, and the second makes it durable. */
function assertHeaderFirst(image: Buffer, operations: readonly FileOperation[]): void {
  const [first, second] = operations;
  assert.ok(first?.kind === 'write' && HEADERS.includes(first.offset), 'a header comes first');
  assert.notEqual(guidIn(first.bytes), guidIn(newestIn(image)));
  assert.equal(second?.kind, 'sync');
}

const dirty = (): Buffer => {
  const file = join(folder, 'dirty.vhdx');
  writeFileSync(file, readFileSync(path));
  const log = new DirtyLog(MiB);
  log.write(0, { sequence: 5n, tail: 0, changes: [{ offset: TABLES.bat, zeros: 4096 }] });
  log.install(file);
  return readFileSync(file);
};

const withoutLog = (): Buffer => {
  const file = join(folder, 'bare.vhdx');
  writeFileSync(file, readFileSync(path));
  patchSealed(file, HEADERS, 4096, 68, u32Bytes(0));
  patchSealed(file, HEADERS, 4096, 72, u64Bytes(0n));
  return readFileSync(file);
};

test('the headers get a new FileWriteGuid before anything else is changed: by a write, a replay and a new log', async () => {
  const clean = readFileSync(path);
  const writer = new Recorder(clean);
  const file = await writableOver(writer.open(path));
  await file.write(0, Buffer.alloc(512, 1));
  assertHeaderFirst(clean, ownOf(writer));
  for (const image of [dirty(), withoutLog()]) {
    const recorder = new Recorder(image);
    await settledStructure(recorder.open(path));
    assertHeaderFirst(image, ownOf(recorder));
  }
});

test('DataWriteGuid changes before the content does, and not when only the log is replayed', async () => {
  const image = dirty();
  const dataGuid = (header: Uint8Array): string => guidFromBytes(header, 32);
  const recorder = new Recorder(image);
  await settledStructure(recorder.open(path));
  assert.equal(dataGuid(newestIn(recorder.image)), dataGuid(newestIn(image)));
  const writer = new Recorder(readFileSync(path));
  const file = await writableOver(writer.open(path));
  await file.write(0, Buffer.alloc(MiB, 1));
  const operations = ownOf(writer);
  const payload = operations.findIndex((one) => one.kind === 'write' && one.bytes.length === MiB);
  const before = operations
    .slice(0, payload)
    .filter((one) => one.kind === 'write' && HEADERS.includes(one.offset));
  assert.ok(payload > 0 && before.length > 0);
  const [first] = before as { bytes: Uint8Array }[];
  assert.notEqual(dataGuid(first!.bytes), dataGuid(newestIn(readFileSync(path))));
});

test('a header gets the next number, and the other one is durable when it is written', async () => {
  const recorder = new Recorder(readFileSync(path));
  const file = await writableOver(recorder.open(path));
  await file.write(0, Buffer.alloc(512, 1));
  await file.close();
  let newest = newestIn(readFileSync(path)).readBigUInt64LE(8);
  const pending = new Set<number>();
  for (const operation of ownOf(recorder)) {
    if (operation.kind === 'sync') pending.clear();
    if (operation.kind !== 'write' || !HEADERS.includes(operation.offset)) continue;
    const other = HEADERS[1 - HEADERS.indexOf(operation.offset)]!;
    assert.ok(!pending.has(other), 'both on their way at once');
    newest += 1n;
    assert.equal(Buffer.from(operation.bytes).readBigUInt64LE(8), newest);
    pending.add(operation.offset);
  }
});

/** Entries as they were written to the ring, which none of these sessions goes around. */
function entriesOf(operations: readonly FileOperation[]): { entry: Buffer; at: number; fileSize: number }[] {
  let fileSize = 0;
  return operations.flatMap((operation) => {
    if (operation.kind === 'resize') fileSize = operation.size;
    if (operation.kind !== 'write') return [];
    fileSize = Math.max(fileSize, operation.offset + operation.bytes.length);
    const at = operation.offset - MiB;
    const isEntry = at >= 0 && at < MiB && operation.bytes.length > 0;
    return isEntry ? [{ entry: Buffer.from(operation.bytes), at, fileSize }] : [];
  });
}

test('log entries: whole sectors, ascending numbers above zero, their log’s name, nothing reserved set, file lengths in whole MiB', async () => {
  const short = join(folder, 'short.vhdx');
  writeFileSync(short, readFileSync(path));
  // As old qemu left a file whose last block is short.
  truncateSync(short, 4 * MiB + 512);
  const recorder = new Recorder(readFileSync(short));
  const file = await writableOver(recorder.open(short));
  for (let block = 0; block < 6; block += 1) {
    await file.write(block * MiB, Buffer.alloc(MiB, block + 1));
    await file.flush();
  }
  const logGuid = guidFromBytes(newestIn(recorder.image), 48);
  const entries = entriesOf(ownOf(recorder));
  assert.equal(entries.length, 7);
  for (const [index, { entry, at, fileSize }] of entries.entries()) {
    assert.equal(entry.toString('latin1', 0, 4), 'loge');
    assert.deepEqual([entry.readUInt32LE(8), at % 4096, entry.length % 4096], [entry.length, 0, 0]);
    assert.deepEqual([entry.readUInt32LE(12), entry.readUInt32LE(28)], [at, 0], 'tail, reserved');
    assert.equal(entry.readBigUInt64LE(16), BigInt(index + 1));
    assert.equal(guidFromBytes(entry, 32), logGuid);
    for (const length of [entry.readBigUInt64LE(48), entry.readBigUInt64LE(56)]) {
      assert.equal(length % BigInt(MiB), 0n);
      assert.ok(length <= fileSize, 'no longer than what is there when the entry is');
    }
  }
  await file.close();
});

/** The rows that the document calls reserved, as places in the structure at `at`. */
function reservedIn(heading: string, at: number): { at: number; length: number }[] {
  return offsetTable('docs/formats/vhdx.md', heading)
    .filter(({ field, size }) => field === 'reserved' && Number.isFinite(size))
    .map(({ offset, size }) => ({ at: at + offset, length: size }));
}

test('everything reserved is zero in the files that are made here', () => {
  for (const name of [path, child]) {
    const image = readFileSync(name);
    const items = image.readUInt16LE(TABLES.metadata + 10);
    const entries = Array.from({ length: items }, (_, n) =>
      reservedIn('Metadata table entry', TABLES.metadata + 32 + 32 * n),
    );
    const areas = [
      ...HEADERS.flatMap((at) => reservedIn('Header', at)),
      ...[192 * KiB, 256 * KiB].flatMap((at) => reservedIn('Region table header', at)),
      ...reservedIn('Metadata table header', TABLES.metadata),
      ...entries.flat(),
      { at: 320 * KiB, length: MiB - 320 * KiB },
    ];
    assert.ok(areas.length > 10);
    for (const { at, length } of areas)
      assert.ok(isZero(image.subarray(at, at + length)), `${name} at ${at}`);
    assert.equal(image.readUInt32LE(TABLES.metadata + 64 * KiB + 4) & ~3, 0, 'flags of the file parameters');
  }
});

test('a repair in place changes the headers first, and a file is never made shorter', async () => {
  const file = join(folder, 'mended.vhdx');
  writeFileSync(file, dirty());
  const before = readFileSync(file);
  await repairVhdx(file, { inPlace: true });
  const after = readFileSync(file);
  assert.notEqual(guidIn(newestIn(after)), guidIn(newestIn(before)));
  assert.ok(after.length >= before.length);
});
