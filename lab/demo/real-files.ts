/**
 * Real files to fill disks with: programs, libraries and documents of this machine, which compress and repeat as a server's
 * do. They are copied, so that one large folder or one unreadable file neither stops the demo nor decides its size.
 */
import { randomBytes } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KiB, MiB, mapOrdered } from '../../src/base/index.ts';

/** Smaller files cost time and hold little; a larger one would be most of a disk. */
const FILE_BYTES_MIN = 16 * KiB;
const FILE_BYTES_MAX = 64 * MiB;
const COPY_DEPTH = 4;
/** Of the random files that make up for what a machine does not have. */
const MADE_UP_BYTES = 8 * MiB;

/** Where programs and documents lie on Linux, macOS and Windows; what is not there is passed over. */
export const USUAL_FOLDERS: readonly string[] = [
  '/usr/lib',
  '/usr/share',
  '/usr/bin',
  '/System/Library',
  'C:\\Windows\\System32',
];

export interface RealFile {
  readonly path: string;
  readonly bytes: number;
}

export interface CopiedFiles {
  readonly files: number;
  readonly bytes: number;
  /** Random bytes in further files, where the machine has too few of its own. */
  readonly madeUpBytes: number;
}

/** All usable files below the folders, one after the other; links are not followed. */
export async function* realFiles(folders: readonly string[]): AsyncGenerator<RealFile> {
  for (const folder of folders) {
    const entries: Dirent[] = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.filter((each) => each.isFile())) {
      const path = join(folder, entry.name);
      const bytes = await stat(path).then(
        (found) => found.size,
        () => 0,
      );
      if (bytes >= FILE_BYTES_MIN && bytes <= FILE_BYTES_MAX) yield { path, bytes };
    }
    yield* realFiles(entries.filter((each) => each.isDirectory()).map((each) => join(folder, each.name)));
  }
}

/** Takes from `source` until `target` holds `bytes`. The source can be taken from again, for another target. */
export async function copyFiles(
  source: AsyncGenerator<RealFile>,
  target: string,
  bytes: number,
): Promise<CopiedFiles> {
  let files = 0;
  let copied = 0;
  const wanted = upTo(source, bytes);
  for await (const file of mapOrdered(wanted, COPY_DEPTH, (each) => copy(each, target))) {
    files += file ? 1 : 0;
    copied += file?.bytes ?? 0;
  }
  return { files, bytes: copied, madeUpBytes: await makeUp(target, bytes - copied) };
}

async function* upTo(source: AsyncGenerator<RealFile>, bytes: number): AsyncGenerator<RealFile> {
  for (let taken = 0; taken < bytes;) {
    const { value, done } = await source.next();
    if (done) return;
    if (taken + value.bytes > bytes + FILE_BYTES_MIN) continue;
    taken += value.bytes;
    yield value;
  }
}

/** Undefined for a file that may not be read. */
async function copy(file: RealFile, target: string): Promise<RealFile | undefined> {
  const path = join(target, file.path.replace(/:/g, ''));
  await mkdir(dirname(path), { recursive: true });
  return copyFile(file.path, path, constants.COPYFILE_FICLONE).then(
    () => file,
    () => undefined,
  );
}

async function makeUp(target: string, bytes: number): Promise<number> {
  if (bytes < MADE_UP_BYTES) return 0;
  await mkdir(target, { recursive: true });
  for (let at = 0; at < bytes; at += MADE_UP_BYTES) {
    await writeFile(join(target, `random-${at}`), randomBytes(Math.min(MADE_UP_BYTES, bytes - at)));
  }
  return bytes;
}
