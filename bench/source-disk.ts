/**
 * The disks that are measured. The large one is half data: of eight pieces with data four hold files of /usr, three random
 * bytes and one zeros that are allocated all the same; between the pieces nothing is allocated.
 */
import { randomBytes, randomFillSync } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KiB, MiB } from '../src/base/index.ts';
import type { Extent } from '../src/extents/index.ts';
import { createVhdx, openVhdxWritable, type VhdxFile } from '../src/vhdx/index.ts';

const PIECE = 64 * MiB;
const KINDS = ['files', 'random', 'files', 'random', 'files', 'random', 'files', 'zeros'] as const;
/** What a guest's small write becomes in Windows' change tracking, and the grid of the repository. */
const CHANGE = 64 * KiB;
/** One huge file must not be the whole sample. */
const FILE_SIZE_MAX = 64 * MiB;

/** Creates a dynamic VHDX of `size` bytes with `dataBytes` in pieces of 64 MiB, spread evenly; zeros are among the data. */
export async function makeSourceDisk(path: string, size: number, dataBytes: number): Promise<void> {
  await createVhdx(path, { size, kind: 'dynamic' });
  await using disk = disposable(await openVhdxWritable(path));
  const files = new FileBytes();
  const buffer = Buffer.alloc(MiB);
  const pieces = dataBytes / PIECE;
  for (let piece = 0; piece < pieces; piece += 1) {
    const kind = KINDS[piece % KINDS.length]!;
    const start = Math.floor((piece * size) / pieces / PIECE) * PIECE;
    for (let at = start; at < start + PIECE; at += buffer.length) {
      if (kind === 'files') files.fill(buffer);
      else if (kind === 'random') randomFillSync(buffer);
      else buffer.fill(0);
      await disk.write(at, buffer);
    }
  }
  await disk.flush();
}

/** Where a disk of `size` bytes is changed: `bytes` in runs of 64 KiB, spread evenly, never at a round address. */
export function scatteredChanges(size: number, bytes: number): Extent[] {
  const count = bytes / CHANGE;
  const stride = Math.floor(size / count / CHANGE) * CHANGE;
  const shift = (17 * CHANGE) % stride;
  return Array.from({ length: count }, (_, i) => ({ offset: i * stride + shift, length: CHANGE }));
}

/** New random content in every extent. Creates the disk when `size` is given. */
export async function writeChanges(path: string, extents: readonly Extent[], size?: number): Promise<void> {
  if (size !== undefined) await createVhdx(path, { size, kind: 'dynamic' });
  await using disk = disposable(await openVhdxWritable(path));
  const buffer = Buffer.alloc(CHANGE);
  for (const { offset } of extents) await disk.write(offset, randomFillSync(buffer));
  await disk.flush();
}

function disposable(disk: VhdxFile): VhdxFile & AsyncDisposable {
  return Object.assign(disk, { [Symbol.asyncDispose]: () => disk.close() });
}

/** The bytes of the regular files of /usr, one after the other; random bytes once they are used up. */
class FileBytes {
  readonly #contents = fileContents();
  #rest: Buffer = Buffer.alloc(0);

  fill(into: Buffer): void {
    for (let done = 0; done < into.length;) {
      if (this.#rest.length === 0) this.#rest = this.#contents.next().value ?? randomBytes(MiB);
      const length = this.#rest.copy(into, done);
      this.#rest = this.#rest.subarray(length);
      done += length;
    }
  }
}

function* fileContents(): Generator<Buffer, undefined> {
  for (const folder of ['/usr/bin', '/usr/lib', '/usr/share']) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && lstatSync(path).size < FILE_SIZE_MAX) yield readFileSync(path);
    }
  }
  return undefined;
}
