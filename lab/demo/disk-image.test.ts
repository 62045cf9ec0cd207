/** The images disks begin with, judged by programs that read such disks: partx, e2fsck, debugfs and tar. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GiB, KiB, MiB } from '../../src/base/index.ts';
import { requires } from '../../test/requires.ts';
import { Random } from '../model/random.ts';
import { scratch } from '../model/scratch.fixture.ts';
import { createDiskImage, type DiskImageOptions } from './disk-image.ts';
import { FIRST_PARTITION } from './partition-table.ts';
import { PROGRAM_FOLDERS } from './programs.ts';

const OPTIONS: DiskImageOptions = {
  diskBytes: 4 * GiB,
  databaseOffset: GiB,
  fileBytes: 3 * MiB,
  programFolders: PROGRAM_FOLDERS,
};
const LONG = `${'long-name-'.repeat(12)}end`;
const FILES = [
  { name: 'first', bytes: new Random(1).bytes(MiB + 1) },
  { name: 'a folder/second', bytes: new Random(2).bytes(512) },
  { name: `a folder/${LONG}`, bytes: new Random(3).bytes(70 * KiB) },
];

async function folderOfFiles(folder: string): Promise<string> {
  const root = join(folder, 'files');
  await mkdir(join(root, 'a folder'), { recursive: true });
  for (const { name, bytes } of FILES) await writeFile(join(root, name), bytes);
  return root;
}

function run(program: string, ...args: string[]): Buffer {
  const PATH = PROGRAM_FOLDERS.join(':');
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  return execFileSync(program, args, { env: { ...process.env, PATH }, stdio, maxBuffer: 16 * MiB });
}

test(
  'with mke2fs a disk holds a sound ext4 file system with the files in it',
  requires(['mke2fs', 'e2fsck', 'debugfs'], 'that the demo starts from real file systems'),
  async () => {
    await using temporary = await scratch();
    const path = join(temporary.folder, 'disk.raw');
    assert.equal(await createDiskImage(path, await folderOfFiles(temporary.folder), OPTIONS), 'ext4');
    const inside = `${path}?offset=${FIRST_PARTITION}`;
    run('e2fsck', '-f', '-n', inside);
    for (const { name, bytes } of FILES) {
      const copy = join(temporary.folder, 'copy');
      run('debugfs', '-R', `dump "/${name}" ${copy}`, inside);
      assert.ok((await readFile(copy)).equals(bytes), name);
    }
  },
);

test(
  'its partition table names the file system and the database behind it',
  requires(['partx'], 'that the partition table of the demo is one'),
  async () => {
    await using temporary = await scratch();
    const path = join(temporary.folder, 'disk.raw');
    await createDiskImage(path, await folderOfFiles(temporary.folder), OPTIONS);
    await using file = await open(path, 'r+');
    const { size } = await file.stat();
    await file.truncate(OPTIONS.diskBytes);
    const rows = run('partx', '--show', '--noheadings', '--output', 'SCHEME,START,SECTORS', path);
    const found = rows
      .toString()
      .trim()
      .split('\n')
      .map((row) => row.trim().split(/ +/));
    assert.deepEqual(found, [
      ['dos', String(FIRST_PARTITION / 512), String((size - FIRST_PARTITION) / 512)],
      ['dos', String(GiB / 512), String((3 * GiB) / 512)],
    ]);
  },
);

test(
  'without mke2fs the partition is an archive that tar reads',
  requires(['tar'], 'that the files of the demo are whole without mke2fs'),
  async () => {
    await using temporary = await scratch();
    const path = join(temporary.folder, 'disk.raw');
    const options = { ...OPTIONS, programFolders: [] };
    assert.equal(await createDiskImage(path, await folderOfFiles(temporary.folder), options), 'tar');
    const archive = join(temporary.folder, 'archive.tar');
    await writeFile(archive, (await readFile(path)).subarray(FIRST_PARTITION));
    for (const { name, bytes } of FILES) {
      const file = run('tar', '--extract', '--to-stdout', `--file=${archive}`, name.slice(-100));
      assert.ok(file.equals(bytes), name);
    }
    assert.equal(run('tar', '--list', `--file=${archive}`).toString().trim().split('\n').length, 3);
  },
);
