/** Digests of what a disk file holds as a disk: equal for equal disks, whatever their formats and holes. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { MiB, TiB, silentProgress, type Progress } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import { blocksRead } from './disk-blocks.ts';
import { flowFaults } from './faults.ts';
import { LocalDisk, type LocalDiskOptions } from './local-disk.ts';
import { TREE_BLOCK, TreeHash } from './tree-hash.ts';

export interface HashOptions extends LocalDiskOptions {
  /** The tree hash, which skips holes, instead of SHA-256 over every byte. */
  readonly tree?: boolean;
  readonly progress?: Progress;
}

export interface DiskHashRecord {
  readonly path: string;
  /** `sha256`: of every byte, as `sha256sum` of a raw image; `hvlift-tree-1`: docs/formats/tree-hash.md. */
  readonly algorithm: 'sha256' | 'hvlift-tree-1';
  /** Hexadecimal digits. */
  readonly hash: string;
  readonly virtualBytes: number;
  readonly readBytes: number;
}

type Work = CallOptions & { readonly progress: Progress };

/** Zeros cost as much as data to hash, about 1 GB/s: 4 TiB of them take an hour. */
const HOLE_BYTES_MAX = 4 * TiB;
const ZEROS = new Uint8Array(MiB);
/** Zeros between two looks at what else happens, so that Ctrl-C is heard. */
const ZEROS_AT_ONCE = 32 * MiB;

/** Faults: those of {@link LocalDisk.open} and of reading, `FLOW_HASH_TOO_LONG`, `FLOW_SOURCE_CHANGED`. */
export async function hashDisk(path: string, options: HashOptions = {}): Promise<DiskHashRecord> {
  const { tree = false, progress = silentProgress } = options;
  await using local = await LocalDisk.open(path, options);
  const { disk } = local;
  if (!tree) await checkHoles(path, disk, options);
  progress.phase(`hash ${path}`, disk.size);
  const work = { signal: options.signal, progress };
  const { hash, readBytes } = tree ? await treeHash(disk, work) : await plainHash(disk, work);
  await local.checkUnchanged();
  const algorithm = tree ? 'hvlift-tree-1' : 'sha256';
  return { path, algorithm, hash, virtualBytes: disk.size, readBytes };
}

async function checkHoles(path: string, disk: Disk, options: CallOptions): Promise<void> {
  if (disk.size <= HOLE_BYTES_MAX) return;
  let holeBytes = disk.size;
  for await (const { length } of disk.allocated(undefined, options)) holeBytes -= length;
  if (holeBytes > HOLE_BYTES_MAX) throw flowFaults.hashTooLong({ path, holeBytes, maximum: HOLE_BYTES_MAX });
}

async function treeHash(disk: Disk, { signal, progress }: Work) {
  const tree = new TreeHash(disk.size);
  let readBytes = 0;
  let reached = 0;
  for await (const { offset, bytes } of blocksRead(disk, TREE_BLOCK, { signal })) {
    tree.add(offset, bytes);
    readBytes += bytes.length;
    progress.advance(offset + bytes.length - reached);
    reached = offset + bytes.length;
  }
  progress.advance(disk.size - reached);
  return { hash: tree.digest(), readBytes };
}

async function plainHash(disk: Disk, { signal, progress }: Work) {
  const sha256 = createHash('sha256');
  let reached = 0;
  let readBytes = 0;
  const zerosUpTo = async (end: number): Promise<void> => {
    while (reached < end) {
      const length = Math.min(ZEROS_AT_ONCE, end - reached);
      for (let left = length; left > 0; left -= MiB) sha256.update(ZEROS.subarray(0, Math.min(MiB, left)));
      progress.advance(length);
      reached += length;
      await setImmediate();
      signal?.throwIfAborted();
    }
  };
  for await (const { offset, bytes } of blocksRead(disk, MiB, { signal })) {
    await zerosUpTo(offset);
    sha256.update(bytes);
    progress.advance(bytes.length);
    reached += bytes.length;
    readBytes += bytes.length;
  }
  await zerosUpTo(disk.size);
  return { hash: sha256.digest('hex'), readBytes };
}
