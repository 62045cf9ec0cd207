import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { KiB, MiB, guidToBytes, hasCode, newGuid, type Fault } from '../base/index.ts';
import { FileReader, diskFaults } from '../disk/index.ts';
import { openVhdx, openVhdxChain } from './chain.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import {
  assertSameBytes,
  contentOf,
  openCounter,
  openFile,
  patch,
  patchSealed,
  scratchFolder,
} from './scratch.fixture.ts';
import { openVhdxWritable } from './vhdx-file.ts';

const folder = scratchFolder();
let chains = 0;

/** base ◄ middle ◄ leaf in a folder of their own; each holds one MiB of its own. */
async function threeFiles(): Promise<{ base: string; middle: string; leaf: string; folder: string }> {
  const home = join(folder, String((chains += 1)));
  mkdirSync(home);
  const base = join(home, 'base.vhdx');
  const middle = join(home, 'middle.avhdx');
  const leaf = join(home, 'leaf.avhdx');
  await createVhdx(base, { size: 4 * MiB, kind: 'dynamic', blockSize: MiB });
  await writeMiB(base, 0);
  await createDifferencingVhdx(middle, { parentPath: base });
  await writeMiB(middle, 1);
  await createDifferencingVhdx(leaf, { parentPath: middle, blockSize: MiB });
  await writeMiB(leaf, 2);
  return { base, middle, leaf, folder: home };
}

async function writeMiB(path: string, at: number): Promise<void> {
  const file = await openVhdxWritable(path);
  await file.write(at * MiB, Buffer.alloc(MiB, at + 1));
  await file.close();
}

const expected = Buffer.concat([1, 2, 3, 0].map((fill) => Buffer.alloc(MiB, fill)));

/** The fault of opening `path`, after checking that nothing was left open. */
async function faultOf(path: string, parentPaths?: () => string[]): Promise<Fault> {
  const counter = openCounter();
  const options = { open: counter.open, ...(parentPaths ? { parentPaths } : {}) };
  const error = await openVhdxChain(path, options).then(
    () => assert.fail('it opened'),
    (e: Fault) => e,
  );
  assert.equal(counter.left, 0, 'readers left open');
  return error;
}

test('a chain is found by the relative paths, described leaf first, read as one, and closed as a whole', async () => {
  const { base, middle, leaf } = await threeFiles();
  const counter = openCounter();
  const disk = await openVhdxChain(leaf, { open: counter.open });
  assert.deepEqual(
    disk.files.map((file) => [file.path, file.kind, file.logReplayed]),
    [
      [leaf, 'differencing', false],
      [middle, 'differencing', false],
      [base, 'dynamic', false],
    ],
  );
  assert.equal(counter.left, 3);
  const bytes = Buffer.alloc(disk.size);
  await disk.read(0, bytes);
  assertSameBytes(bytes, expected, 'chain');
  assert.deepEqual(await Array.fromAsync(disk.allocated()), [{ offset: 0, length: 3 * MiB }]);
  await disk.close();
  assert.equal(counter.left, 0);
});

test('a parent in another folder is found by a relative path with dots, and by the caller’s own map', async () => {
  const { base, folder: home } = await threeFiles();
  const away = join(home, 'away');
  mkdirSync(away);
  const child = join(away, 'child.avhdx');
  await createDifferencingVhdx(child, { parentPath: base });
  await (await openVhdxChain(child, { open: openFile })).close();
  const moved = join(away, 'moved.vhdx');
  renameSync(base, moved);
  assert.equal((await faultOf(child)).code, 'VHDX_PARENT_MISSING');
  const disk = await openVhdxChain(child, {
    open: openFile,
    parentPaths: (childPath, locator) => {
      assert.equal(childPath, child);
      assert.equal(locator.relativePath, '..\\base.vhdx');
      return [join(home, 'nothing here'), moved];
    },
  });
  assert.equal(disk.files[1]!.path, moved);
  await disk.close();
});

test('a missing parent names the child and every path that was tried', async () => {
  const { base, middle, leaf } = await threeFiles();
  rmSync(base);
  const fault = await faultOf(leaf);
  assert.equal(fault.code, 'VHDX_PARENT_MISSING');
  assert.ok(fault.message.includes(middle) && fault.message.includes(base), fault.message);
});

test('a parent that was written after its child was made is refused', async () => {
  const { base, leaf } = await threeFiles();
  await writeMiB(base, 3);
  const fault = await faultOf(leaf);
  assert.equal(fault.code, 'VHDX_PARENT_MISMATCH');
  assert.ok(fault.message.includes(base), fault.message);
});

test('a wrong file at the first path does not hide the right one at the second', async () => {
  const { base, middle, folder: home } = await threeFiles();
  const other = join(home, 'other.vhdx');
  await createVhdx(other, { size: 4 * MiB, kind: 'dynamic' });
  writeFileSync(join(home, 'text'), 'no disk');
  const parentPaths = (): string[] => [other, join(home, 'text'), join(home, 'absent'), base];
  const disk = await openVhdxChain(middle, { open: openFile, parentPaths });
  assert.equal(disk.files[1]!.path, base);
  await disk.close();
  assert.equal((await faultOf(middle, () => [other])).code, 'VHDX_PARENT_MISMATCH');
  assert.equal((await faultOf(middle, () => [join(home, 'text'), other])).code, 'VHDX_NOT_VHDX');
});

test('a disk that is its own ancestor is refused, also under another name', async () => {
  const { middle, folder: home } = await threeFiles();
  const guid = newGuid();
  // The child's own DataWriteGuid becomes what it names as its parent's.
  const file = readFileSync(middle);
  const linkage = file.indexOf(Buffer.from('parent_linkage2', 'utf16le'));
  const value = file.indexOf(Buffer.from('{', 'utf16le'));
  assert.ok(value > 0 && linkage > value);
  Buffer.from(`{${guid}}`, 'utf16le').copy(file, value);
  writeFileSync(middle, file);
  patchSealed(middle, [64 * KiB, 128 * KiB], 4096, 32, guidToBytes(guid));
  const copy = join(home, 'copy.avhdx');
  copyFileSync(middle, copy);
  assert.equal((await faultOf(middle, () => [middle])).code, 'VHDX_CHAIN_CYCLE');
  assert.equal((await faultOf(middle, () => [copy])).code, 'VHDX_CHAIN_CYCLE');
});

test('a chain of 256 files opens and one of 257 is refused', async () => {
  const home = join(folder, 'deep');
  mkdirSync(home);
  const path = (n: number): string => join(home, `${n}.avhdx`);
  await createVhdx(path(0), { size: MiB, kind: 'dynamic', blockSize: MiB });
  for (let n = 1; n < 257; n += 1) await createDifferencingVhdx(path(n), { parentPath: path(n - 1) });
  const disk = await openVhdxChain(path(255), { open: openFile });
  assert.equal(disk.files.length, 256);
  await disk.close();
  assert.equal((await faultOf(path(256))).code, 'VHDX_CHAIN_TOO_DEEP');
});

test('a parent with other sectors is refused', async () => {
  const { base, middle } = await threeFiles();
  const at = readFileSync(base).indexOf(Uint8Array.from([0, 2, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0]));
  const file = readFileSync(base);
  file.writeUInt32LE(4096, at);
  writeFileSync(base, file);
  assert.equal((await faultOf(middle)).code, 'VHDX_SECTOR_SIZES_DIFFER');
});

test('a smaller parent ends in zeros', async () => {
  const home = join(folder, 'sizes');
  mkdirSync(home);
  const small = join(home, 'small.vhdx');
  const child = join(home, 'child.avhdx');
  await createVhdx(small, { size: 3 * MiB + 512, kind: 'fixed', blockSize: MiB });
  const file = await openVhdxWritable(small);
  await file.write(0, Buffer.alloc(3 * MiB + 512, 1));
  await file.close();
  await createDifferencingVhdx(child, { parentPath: small });
  // What the file holds behind the end of the parent's disk is no content.
  await patch(small, 7 * MiB + 512, Buffer.alloc(MiB - 512, 0xee));
  const bytes = readFileSync(child);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(3 * MiB + 512));
  bytes.writeBigUInt64LE(BigInt(6 * MiB), bytes.indexOf(size));
  writeFileSync(child, bytes);
  const got = await contentOf(child);
  assertSameBytes(got, Buffer.concat([Buffer.alloc(3 * MiB + 512, 1), Buffer.alloc(3 * MiB - 512)]), 'child');
});

test('what may pass by itself is thrown on instead of becoming a missing parent', async () => {
  const { base, leaf } = await threeFiles();
  const counter = openCounter();
  const open = async (path: string): Promise<Awaited<ReturnType<typeof counter.open>>> => {
    if (path === base) throw diskFaults.ioFailed({ path, reason: 'the network is away' });
    return counter.open(path);
  };
  await assert.rejects(openVhdxChain(leaf, { open }), (e) => hasCode(e, 'DISK_IO_FAILED'));
  assert.equal(counter.left, 0);
});

test('an abort while opening stops it and closes what was opened', async () => {
  const { leaf } = await threeFiles();
  const counter = openCounter();
  const controller = new AbortController();
  const open = async (path: string): Promise<Awaited<ReturnType<typeof counter.open>>> => {
    if (path !== leaf) controller.abort(new Error('stop'));
    return counter.open(path);
  };
  await assert.rejects(openVhdxChain(leaf, { open, signal: controller.signal }), /stop/);
  assert.equal(counter.left, 0);
});

test('a single file opens by its reader alone, but not when it needs a parent', async () => {
  const { base, leaf } = await threeFiles();
  const disk = await openVhdx(await FileReader.open(base), { path: base });
  assert.equal(disk.kind, 'dynamic');
  await disk.close();
  const reader = await FileReader.open(leaf);
  await assert.rejects(openVhdx(reader, { path: leaf }), (e) => hasCode(e, 'VHDX_NEEDS_PARENT'));
  await reader.close();
});
