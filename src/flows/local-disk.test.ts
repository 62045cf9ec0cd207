import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { hasCode, MiB } from '../base/index.ts';
import { createVhdx } from '../vhdx/index.ts';
import { DirtyLog } from '../vhdx/log-writer.fixture.ts';
import { DiskFolder, knownChain } from './disk-files.fixture.ts';
import { diskInfo } from './disk-info.ts';
import { LocalDisk } from './local-disk.ts';

const files = new DiskFolder();
const { leaf, base } = await knownChain(files.at('vm'));

async function refused(path: string, code: string): Promise<void> {
  const opened = LocalDisk.open(path);
  await assert.rejects(opened, (error) => hasCode(error, code), `${path} is not ${code}`);
}

test('what is no disk that can be read has a code for each case', async () => {
  mkdirSync(files.at('folder'));
  writeFileSync(files.at('empty.raw'), '');
  writeFileSync(files.at('notes.txt'), 'not a disk');
  writeFileSync(files.at('shared.vhds'), Buffer.alloc(MiB));
  writeFileSync(files.at('other.qcow2'), Buffer.concat([Buffer.from('QFI\u00fb', 'latin1')], 4096));
  copyFileSync(base, files.at('cut.vhdx'));
  truncateSync(files.at('cut.vhdx'), 2.5 * MiB);
  symlinkSync('loop.vhdx', files.at('loop.vhdx'));
  const cases = {
    'nothing.vhdx': 'FLOW_NO_SUCH_FILE',
    'notes.txt/below': 'FLOW_NO_SUCH_FILE',
    folder: 'FLOW_NOT_A_FILE',
    'loop.vhdx': 'FLOW_FILE_NOT_READABLE',
    'empty.raw': 'VIRTUALDISK_NOT_A_DISK',
    'notes.txt': 'VIRTUALDISK_NOT_A_DISK',
    'shared.vhds': 'VIRTUALDISK_VHD_SET',
    'other.qcow2': 'VIRTUALDISK_OTHER_FORMAT',
    'cut.vhdx': 'VHDX_TRUNCATED',
  };
  for (const [name, code] of Object.entries(cases)) await refused(files.at(name), code);
});

test(
  'a named pipe is not waited for, neither as the disk nor as the parent a child names',
  requires(['mkfifo'], 'that a pipe in the place of a file does not hang'),
  async () => {
    mkdirSync(files.at('piped'));
    copyFileSync(leaf, files.at('piped', 'leaf.avhdx'));
    spawnSync('mkfifo', [files.at('piped', 'base.vhdx')]);
    await refused(files.at('piped', 'base.vhdx'), 'FLOW_NOT_A_FILE');
    await refused(files.at('piped', 'leaf.avhdx'), 'VHDX_PARENT_MISSING');
  },
);

test('a parent is found beside its child, or in a folder that is named, and which way is told', async () => {
  const ways = async (path: string, ...parentFolders: string[]): Promise<string[]> => {
    const { parents, warnings } = await diskInfo(path, { parentFolders });
    return [...parents.map(({ foundBy }) => foundBy), ...warnings.map(({ code }) => code)];
  };
  mkdirSync(files.at('moved'));
  mkdirSync(files.at('elsewhere'));
  copyFileSync(leaf, files.at('moved', 'leaf.avhdx'));
  copyFileSync(base, files.at('elsewhere', 'base.vhdx'));
  assert.deepEqual(await ways(leaf), ['relative path']);
  assert.deepEqual(await ways(files.at('moved', 'leaf.avhdx')), ['VHDX_PARENT_MISSING']);
  const folders = [files.at('vm', 'none'), files.at('elsewhere')];
  assert.deepEqual(await ways(files.at('moved', 'leaf.avhdx'), ...folders), ['parents folder']);
});

test('a parent that is not the one its child names is damage; what is known is told with it', async () => {
  mkdirSync(files.at('wrong'));
  copyFileSync(leaf, files.at('wrong', 'leaf.avhdx'));
  await createVhdx(files.at('wrong', 'base.vhdx'), { size: 40 * MiB, kind: 'dynamic' });
  const info = await diskInfo(files.at('wrong', 'leaf.avhdx'));
  assert.deepEqual([info.damaged, info.kind, info.heldBytes], [true, 'differencing', undefined]);
  assert.deepEqual(
    info.warnings.map(({ code }) => code),
    ['VHDX_PARENT_MISMATCH'],
  );
});

test('a disk whose files changed since they were opened is not taken for one that was read', async () => {
  mkdirSync(files.at('changing'));
  for (const [from, name] of [
    [leaf, 'leaf.avhdx'],
    [base, 'base.vhdx'],
  ] as const) {
    copyFileSync(from, files.at('changing', name));
  }
  await using local = await LocalDisk.open(files.at('changing', 'leaf.avhdx'));
  await local.checkUnchanged();
  await appendFile(files.at('changing', 'base.vhdx'), Buffer.alloc(512));
  await assert.rejects(local.checkUnchanged(), (error) => {
    assert.ok(hasCode(error, 'FLOW_SOURCE_CHANGED'));
    return error.message.includes('base.vhdx');
  });
});

test('a write that leaves the size as it is counts as a change', async () => {
  const path = files.at('in-place.raw');
  writeFileSync(path, Buffer.alloc(MiB));
  // Long ago: two writes within a tick of the system's clock have one time.
  utimesSync(path, 1e9, 1e9);
  await using local = await LocalDisk.open(path);
  await local.checkUnchanged();
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.of(1), 0, 1, 512);
  closeSync(file);
  await assert.rejects(local.checkUnchanged(), (error) => hasCode(error, 'FLOW_SOURCE_CHANGED'));
});

test('what a replay of the log would write is told', async () => {
  copyFileSync(base, files.at('dirty.vhdx'));
  assert.equal((await diskInfo(files.at('dirty.vhdx'))).replay, undefined);
  const log = new DirtyLog(MiB);
  const changes = [
    { offset: 40 * MiB, data: Buffer.alloc(4096, 5) },
    { offset: 50 * MiB, zeros: 8192 },
  ];
  log.write(0, { sequence: 7n, tail: 0, changes });
  log.install(files.at('dirty.vhdx'));
  const { replay } = await diskInfo(files.at('dirty.vhdx'));
  assert.deepEqual(replay, { sectors: 1, zeroedBytes: 8192, fileBytes: 50 * MiB + 8192 });
});
