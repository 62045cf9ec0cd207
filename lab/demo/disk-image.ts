/**
 * The raw image a disk begins with: a partition table, and the files of a folder in the first partition.
 *
 * With mke2fs they lie in an ext4 file system, made without mounting anything and without rights of root. Without it they lie
 * one after the other, as tar writes them to a tape: real data, but no file system.
 */
import { createReadStream, type Dirent } from 'node:fs';
import { open, readdir, stat, truncate, type FileHandle } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { KiB, MiB } from '../../src/base/index.ts';
import { FIRST_PARTITION, partitionTable, SECTOR_SIZE } from './partition-table.ts';
import { findProgram, runProgram } from './programs.ts';
import { tarHeader } from './tar-header.ts';

export interface DiskImageOptions {
  /** Of the virtual disk; the image ends where its files do. */
  readonly diskBytes: number;
  readonly databaseOffset: number;
  readonly fileBytes: number;
  /** Where programs are looked for. */
  readonly programFolders: readonly string[];
}

export type Content = 'ext4' | 'tar';

/** Creates the image at `path` from the files below `folder`; says which way. */
export async function createDiskImage(
  path: string,
  folder: string,
  options: DiskImageOptions,
): Promise<Content> {
  const content = (await makeExt4(path, folder, options)) ? 'ext4' : 'tar';
  if (content === 'tar') await makeTar(path, folder);
  const { diskBytes, databaseOffset } = options;
  await truncate(path, Math.ceil((await stat(path)).size / MiB) * MiB);
  await using file = await open(path, 'r+');
  await file.write(
    partitionTable([
      { offset: FIRST_PARTITION, length: (await file.stat()).size - FIRST_PARTITION },
      { offset: databaseOffset, length: diskBytes - databaseOffset },
    ]),
    { position: 0 },
  );
  return content;
}

async function makeExt4(path: string, folder: string, options: DiskImageOptions): Promise<boolean> {
  const mke2fs = await findProgram('mke2fs', options.programFolders);
  if (mke2fs === undefined) return false;
  // Room for inodes, journal and the unused ends of blocks; little of it stays a hole that is read for nothing.
  const bytes = Math.ceil((options.fileBytes * 1.12) / MiB) * MiB + 24 * MiB;
  const { code } = await runProgram(mke2fs, [
    '-qF',
    '-text4',
    '-m0',
    `-Eoffset=${FIRST_PARTITION},root_owner=0:0`,
    '-d',
    folder,
    path,
    `${bytes / KiB}k`,
  ]);
  return code === 0;
}

/** Every file with its header, padded to sectors; two sectors of zeros end the archive. */
async function makeTar(path: string, folder: string): Promise<void> {
  await using image = await open(path, 'w');
  let at = FIRST_PARTITION;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const name of entries.filter((each) => each.isFile()).map((each) => nameIn(folder, each))) {
    at += await appendFile(image, at, join(folder, name), name);
  }
  await image.truncate(at + 2 * SECTOR_SIZE);
}

function nameIn(folder: string, entry: Dirent): string {
  return join(relative(folder, entry.parentPath), entry.name);
}

async function appendFile(image: FileHandle, at: number, path: string, name: string): Promise<number> {
  const { size } = await stat(path);
  await image.write(tarHeader(name, size), { position: at });
  let end = at + SECTOR_SIZE;
  for await (const bytes of createReadStream(path, { highWaterMark: MiB }) as AsyncIterable<Buffer>) {
    await image.write(bytes, { position: end });
    end += bytes.length;
  }
  return Math.ceil(end / SECTOR_SIZE) * SECTOR_SIZE - at;
}
