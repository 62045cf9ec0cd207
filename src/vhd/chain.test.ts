import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { KiB, MiB, hasCode, newGuid, type Fault } from '../base/index.ts';
import { FileReader, diskFaults } from '../disk/index.ts';
import { createVhdx } from '../vhdx/index.ts';
import { beside, buildVhd, utf16le, type BuiltDisk } from './built-vhd.fixture.ts';
import { openVhd, openVhdChain } from './chain.ts';
import { assertSameBytes, contentOf, openCounter, openFile, scratchFolder } from './scratch.fixture.ts';
import { readVhdInfo } from './structure.ts';

const folder = scratchFolder();
let chains = 0;

/** base ◄ middle ◄ leaf in a folder of their own; each holds one MiB of its own. */
function threeFiles(): { base: string; middle: string; leaf: string; folder: string; baseId: string } {
  const home = join(folder, String((chains += 1)));
  mkdirSync(home);
  const [base, middle, leaf] = ['base.vhd', 'middle.avhd', 'leaf.avhd'].map((name) => join(home, name)) as [
    string,
    string,
    string,
  ];
  const [baseId, middleId] = [newGuid(), newGuid()];
  buildVhd(base, { ...oneMiB(0), kind: 'dynamic', uniqueId: baseId });
  buildVhd(middle, { ...oneMiB(1), ...child(baseId, 'base.vhd'), uniqueId: middleId });
  buildVhd(leaf, { ...oneMiB(2), ...child(middleId, 'middle.avhd') });
  return { base, middle, leaf, folder: home, baseId };
}

function oneMiB(index: number): Pick<BuiltDisk, 'size' | 'blockSize' | 'blocks'> {
  return { size: 4 * MiB, blockSize: MiB, blocks: [{ index, data: Buffer.alloc(MiB, index + 1) }] };
}

function child(
  parentId: string,
  name: string,
): Pick<BuiltDisk, 'kind' | 'uniqueId' | 'parentId' | 'locators'> {
  return { kind: 'differencing', uniqueId: newGuid(), parentId, locators: beside(name) };
}

const expected = Buffer.concat([1, 2, 3, 0].map((fill) => Buffer.alloc(MiB, fill)));

/** The fault of opening `path`, after checking that nothing was left open. */
async function faultOf(path: string, parentPaths?: () => string[]): Promise<Fault> {
  const counter = openCounter();
  const options = { open: counter.open, ...(parentPaths ? { parentPaths } : {}) };
  const error = await openVhdChain(path, options).then(
    () => assert.fail('it opened'),
    (e: Fault) => e,
  );
  assert.equal(counter.left, 0, 'readers left open');
  return error;
}

test('a chain is found by the relative paths, described leaf first, read as one, and closed as a whole', async () => {
  const { base, middle, leaf, baseId } = threeFiles();
  const counter = openCounter();
  const disk = await openVhdChain(leaf, { open: counter.open });
  assert.deepEqual(
    disk.files.map((file) => [file.path, file.kind]),
    [
      [leaf, 'differencing'],
      [middle, 'differencing'],
      [base, 'dynamic'],
    ],
  );
  assert.equal(disk.virtualDiskId, baseId, 'the base names the disk');
  assert.equal(counter.left, 3);
  const bytes = Buffer.alloc(disk.size);
  await disk.read(0, bytes);
  assertSameBytes(bytes, expected, 'chain');
  assert.deepEqual(await Array.fromAsync(disk.allocated()), [{ offset: 0, length: 3 * MiB }]);
  await disk.close();
  assert.equal(counter.left, 0);
});

/** Where a child with these texts looks for its parent. */
async function pathsOf(built: Partial<BuiltDisk>): Promise<string[]> {
  const path = join(folder, 'locators.avhd');
  buildVhd(path, { kind: 'differencing', size: MiB, uniqueId: newGuid(), parentId: newGuid(), ...built });
  const fault = await faultOf(path);
  assert.equal(fault.code, 'VHD_PARENT_MISSING');
  return String(fault.details['tried']).split(', ');
}

test('the parent is looked for beside the child, then at its absolute path; Windows’ texts count before obsolete ones', async () => {
  const at = (name: string): string => join(folder, name);
  const absolute = 'C:\\VMs\\absent.vhd';
  const both = [
    ['W2ku', utf16le(absolute)],
    ['W2ru', utf16le('.\\absent.vhd')],
  ] as const;
  assert.deepEqual(await pathsOf({ locators: both }), [at('absent.vhd'), absolute]);
  assert.deepEqual(await pathsOf({ locators: [['W2ru', utf16le('.\\日本.vhd')]] }), [at('日本.vhd')]);
  const obsolete = [
    ['Wi2r', Buffer.from('.\\old.vhd')],
    ['Wi2k', utf16le(absolute)],
    ['MacX', Buffer.from('file:///Disks/mac.vhd')],
    ['Mac ', Buffer.from('alias')],
  ] as const;
  assert.deepEqual(await pathsOf({ locators: obsolete }), [at('old.vhd'), absolute]);
  assert.deepEqual(await pathsOf({ locators: [...obsolete, ...both] }), [at('absent.vhd'), absolute]);
});

test('without any text the name in the header is looked for beside the child', async () => {
  assert.deepEqual(await pathsOf({ parentName: 'C:\\Disks\\absent.vhd' }), [join(folder, 'absent.vhd')]);
  const none = join(folder, 'no-hint.avhd');
  buildVhd(none, { kind: 'differencing', size: MiB, uniqueId: newGuid(), parentId: newGuid() });
  assert.match((await faultOf(none)).message, /no path is given/);
});

test('the caller’s own map decides where a parent is, and is told the parent’s identity', async () => {
  const { base, middle, folder: home, baseId } = threeFiles();
  const moved = join(home, 'moved.vhd');
  renameSync(base, moved);
  assert.equal((await faultOf(middle)).code, 'VHD_PARENT_MISSING');
  const disk = await openVhdChain(middle, {
    open: openFile,
    parentPaths: (childPath, locator) => {
      assert.equal(childPath, middle);
      assert.deepEqual(locator, { parentLinkage: baseId, relativePath: '.\\base.vhd' });
      return [join(home, 'nothing here'), moved];
    },
  });
  assert.equal(disk.files[1]!.path, moved);
  await disk.close();
});

test('a missing parent names the child and every path that was tried', async () => {
  const { base, middle, leaf } = threeFiles();
  rmSync(base);
  const fault = await faultOf(leaf);
  assert.equal(fault.code, 'VHD_PARENT_MISSING');
  assert.ok(fault.message.includes(middle) && fault.message.includes(base), fault.message);
});

test('a parent is known by its identity, whatever timestamp its child has of it', async () => {
  const { folder: home, baseId, base } = threeFiles();
  for (const parentTimestamp of [0, 1, 0xffffffff]) {
    const path = join(home, 'dated.avhd');
    buildVhd(path, { ...oneMiB(3), ...child(baseId, basename(base)), parentTimestamp });
    const content = Buffer.alloc(4 * MiB)
      .fill(1, 0, MiB)
      .fill(4, 3 * MiB);
    assertSameBytes(await contentOf(path), content, String(parentTimestamp));
  }
});

test('a wrong file at the first path does not hide the right one at the second', async () => {
  const { base, middle, folder: home } = threeFiles();
  const other = join(home, 'other.vhd');
  buildVhd(other, { ...oneMiB(0), kind: 'dynamic', uniqueId: newGuid() });
  writeFileSync(join(home, 'text'), 'no disk');
  const parentPaths = (): string[] => [other, join(home, 'text'), join(home, 'absent'), base];
  const disk = await openVhdChain(middle, { open: openFile, parentPaths });
  assert.equal(disk.files[1]!.path, base);
  await disk.close();
  assert.equal((await faultOf(middle, () => [other])).code, 'VHD_PARENT_MISMATCH');
  assert.equal((await faultOf(middle, () => [join(home, 'text'), other])).code, 'VHD_NOT_VHD');
});

test('a VHDX is no parent of a VHD', async () => {
  const { middle, folder: home } = threeFiles();
  const other = join(home, 'base.vhdx');
  await createVhdx(other, { size: 4 * MiB, kind: 'dynamic' });
  assert.equal((await faultOf(middle, () => [other])).code, 'VHD_NOT_VHD');
});

test('a disk that is its own ancestor is refused, also under another name or further down', async () => {
  const home = threeFiles().folder;
  const [a, b] = [newGuid(), newGuid()];
  const [one, two, copy] = ['one', 'two', 'copy'].map((name) => join(home, `${name}.avhd`)) as [
    string,
    string,
    string,
  ];
  buildVhd(one, { ...oneMiB(0), ...child(b, 'two.avhd'), uniqueId: a });
  buildVhd(two, { ...oneMiB(0), ...child(a, 'one.avhd'), uniqueId: b });
  assert.equal((await faultOf(one)).code, 'VHD_CHAIN_CYCLE');
  copyFileSync(one, copy);
  assert.equal((await faultOf(copy)).code, 'VHD_CHAIN_CYCLE');
  buildVhd(one, { ...oneMiB(0), ...child(a, 'one.avhd'), uniqueId: a });
  assert.equal((await faultOf(one)).code, 'VHD_CHAIN_CYCLE');
});

test('a chain of 256 files opens and one of 257 is refused', async () => {
  const home = join(folder, 'deep');
  mkdirSync(home);
  let parentId = newGuid();
  const small = { size: 64 * KiB, blockSize: 64 * KiB };
  buildVhd(join(home, '0'), { ...small, kind: 'dynamic', uniqueId: parentId });
  for (let n = 1; n < 257; n += 1) {
    const built = child(parentId, String(n - 1));
    buildVhd(join(home, String(n)), { ...small, ...built });
    parentId = built.uniqueId;
  }
  const disk = await openVhdChain(join(home, '255'), { open: openFile });
  assert.equal(disk.files.length, 256);
  await disk.close();
  assert.equal((await faultOf(join(home, '256'))).code, 'VHD_CHAIN_TOO_DEEP');
});

test('what may pass by itself is thrown on instead of becoming a missing parent', async () => {
  const { base, leaf } = threeFiles();
  const counter = openCounter();
  const open = async (path: string): Promise<Awaited<ReturnType<typeof counter.open>>> => {
    if (path === base) throw diskFaults.ioFailed({ path, reason: 'the network is away' });
    return counter.open(path);
  };
  await assert.rejects(openVhdChain(leaf, { open }), (e) => hasCode(e, 'DISK_IO_FAILED'));
  assert.equal(counter.left, 0);
});

test('an abort while opening stops it and closes what was opened', async () => {
  const { leaf } = threeFiles();
  const counter = openCounter();
  const controller = new AbortController();
  const open = async (path: string): Promise<Awaited<ReturnType<typeof counter.open>>> => {
    if (path !== leaf) controller.abort(new Error('stop'));
    return counter.open(path);
  };
  await assert.rejects(openVhdChain(leaf, { open, signal: controller.signal }), /stop/);
  assert.equal(counter.left, 0);
});

test('a single file opens by its reader alone, but not when it needs a parent', async () => {
  const { base, leaf } = threeFiles();
  const disk = await openVhd(await FileReader.open(base), { path: base });
  assert.equal(disk.kind, 'dynamic');
  await disk.close();
  const reader = await FileReader.open(leaf);
  await assert.rejects(openVhd(reader, { path: leaf }), (e) => hasCode(e, 'VHD_NEEDS_PARENT'));
  await reader.close();
});

test('a file says of itself what it is without its parents', async () => {
  const { leaf, middle } = threeFiles();
  const reader = await openFile(leaf);
  const info = await readVhdInfo(reader, { path: leaf });
  await reader.close();
  assert.deepEqual(
    [info.kind, info.size, info.blockSize, info.creator, info.notes],
    ['differencing', 4 * MiB, MiB, 'win ', []],
  );
  assert.equal(info.created.toISOString(), new Date(Date.UTC(2000, 0, 1) + 0x2a000000 * 1000).toISOString());
  const parentId = readFileSync(middle).subarray(68, 84).toString('hex');
  assert.equal(info.parent?.parentLinkage.replaceAll('-', ''), parentId);
});
