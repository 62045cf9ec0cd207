/** Volumes made by the tools of their own projects, and what those tools say of them: the oracle of these tests. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileReader } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import { openVolume, type AreaPiece, type VolumeMap } from './index.ts';

export interface ImageFolder extends Disposable {
  path(name: string): string;
  file(name: string, bytes: Uint8Array): string;
}

export function imageFolder(): ImageFolder {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-filesystems-'));
  const path = (name: string): string => join(folder, name);
  return {
    path,
    file(name, bytes) {
      writeFileSync(path(name), bytes);
      return path(name);
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

export function run(program: string, ...args: string[]): string {
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  return execFileSync(program, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** An ext4 volume with a folder and a file of 3 MiB in it. */
export function makeExt4(folder: ImageFolder, bytes: number, ...options: string[]): string {
  const files = folder.path('files');
  mkdirSync(files, { recursive: true });
  writeFileSync(join(files, 'data.bin'), Buffer.alloc(3_000_000, 7));
  const image = folder.file('ext4.img', new Uint8Array());
  truncateSync(image, bytes);
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'guest', '-d', files, ...options, image);
  return image;
}

export function makeNtfs(folder: ImageFolder, bytes: number, ...options: string[]): string {
  const image = folder.file('ntfs.img', new Uint8Array());
  truncateSync(image, bytes);
  run('mkntfs', '-q', '-F', '-Q', '-L', 'Data', ...options, image);
  return image;
}

export async function withMap<T>(
  image: string,
  use: (map: VolumeMap, size: number) => Promise<T>,
): Promise<T> {
  const disk = await FileReader.open(image);
  try {
    const { map, unreadable } = await openVolume(disk, { offset: 0, length: disk.size });
    if (!map) throw new Error(unreadable);
    return await use(map, disk.size);
  } finally {
    await disk.close();
  }
}

/** The pieces of the whole volume of one area, touching ones merged. */
export async function areaOf(map: VolumeMap, size: number, area: string): Promise<Extent[]> {
  const found: { offset: number; length: number }[] = [];
  for (const piece of await allPieces(map, size)) {
    if (piece.area !== area) continue;
    const last = found.at(-1);
    if (last && last.offset + last.length === piece.offset) last.length += piece.length;
    else found.push({ offset: piece.offset, length: piece.length });
  }
  return found;
}

export function allPieces(map: VolumeMap, size: number): Promise<AreaPiece[]> {
  return Array.fromAsync(map.pieces({ offset: 0, length: size }));
}
