/**
 * A disk file of this machine, opened with its parents to be read.
 *
 * Its files are remembered as they were when they were opened: a disk that somebody writes to meanwhile gives bytes of no one
 * moment, and whoever read it to the end asks {@link LocalDisk.checkUnchanged} before saying that it was read.
 */
import { stat } from 'node:fs/promises';
import { join, win32 } from 'node:path';
import { isFault } from '../base/index.ts';
import { FileReader, type CallOptions } from '../disk/index.ts';
import {
  defaultParentPaths,
  openVirtualDisk,
  type ParentLocator,
  type VirtualDisk,
} from '../virtualdisk/index.ts';
import { flowFaults } from './faults.ts';

export interface LocalDiskOptions extends CallOptions {
  /** Where parents are looked for by their file names, before the places that their children name. */
  readonly parentFolders?: readonly string[];
}

/** How a file of a chain was found. */
export type FoundBy = 'named' | 'parents folder' | 'relative path' | 'absolute path' | 'volume path';

export interface LocalDiskFile {
  readonly path: string;
  readonly foundBy: FoundBy;
}

/** What tells a file from another one, and from itself with other content. */
interface FileState {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

export class LocalDisk {
  readonly path: string;
  readonly opened: VirtualDisk;
  /** The disk's own file first, then its parents. */
  readonly files: readonly LocalDiskFile[];
  readonly #states: ReadonlyMap<string, FileState>;

  private constructor(
    path: string,
    opened: VirtualDisk,
    files: readonly LocalDiskFile[],
    states: ReadonlyMap<string, FileState>,
  ) {
    this.path = path;
    this.opened = opened;
    this.files = files;
    this.#states = states;
  }

  /** Faults: those of {@link openLocalFile}, `VIRTUALDISK_`, `VHDX_`, `VHD_`. What was found is in `places` also then. */
  static async open(
    path: string,
    options: LocalDiskOptions = {},
    places = new ParentPlaces(options.parentFolders),
  ): Promise<LocalDisk> {
    const states = new Map<string, FileState>();
    const opened = await openVirtualDisk(path, {
      signal: options.signal,
      async open(name) {
        const reader = await openLocalFile(name);
        states.set(name, await stat(name, { bigint: true }));
        return reader;
      },
      parentPaths: (child, locator) => places.of(child, locator),
    });
    const paths = opened.format === 'raw' ? [path] : opened.disk.files.map((file) => file.path);
    const files = paths.map((name) => ({ path: name, foundBy: places.wayTo(name) }));
    return new LocalDisk(path, opened, files, states);
  }

  get disk(): VirtualDisk['disk'] {
    return this.opened.disk;
  }

  /** Throws `FLOW_SOURCE_CHANGED` when a file of the disk is not what it was when it was opened. */
  async checkUnchanged(): Promise<void> {
    for (const { path } of this.files) {
      const [then, now] = [this.#states.get(path)!, await stateOf(path)];
      const same = now?.size === then.size && now.mtimeNs === then.mtimeNs && isSameFile(now, then);
      if (!same) throw flowFaults.sourceChanged({ path });
    }
  }

  /** The file of the disk that `path` is another name of, or the same name. */
  async fileAt(path: string): Promise<string | undefined> {
    const there = await stateOf(path);
    if (!there) return undefined;
    return this.files.find((file) => isSameFile(this.#states.get(file.path)!, there))?.path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disk.close();
  }
}

function isSameFile(one: FileState, other: FileState): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

async function stateOf(path: string): Promise<FileState | undefined> {
  return stat(path, { bigint: true }).catch(() => undefined);
}

/**
 * Opens a file read-only. Faults: `FLOW_NO_SUCH_FILE`, `FLOW_NOT_A_FILE`, `FLOW_FILE_NOT_READABLE`. What is no regular file
 * is not opened at all: to open a named pipe waits for its writer, and a child can name one as its parent.
 */
export async function openLocalFile(path: string): Promise<FileReader> {
  try {
    const found = await stat(path);
    if (!found.isFile()) {
      throw flowFaults.notAFile({ path, what: found.isDirectory() ? 'a folder' : 'no regular file' });
    }
    return await FileReader.open(path);
  } catch (error) {
    if (isFault(error)) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw flowFaults.noSuchFile({ path }, { cause: error });
    throw flowFaults.fileNotReadable({ path, reason: message }, { cause: error });
  }
}

/** Where the parents of a chain were looked for, child by child. */
export class ParentPlaces {
  readonly #folders: readonly string[];
  readonly #ways = new Map<string, FoundBy>();
  /** The files whose parents were asked for: they were opened and belong to the chain. Leaf first. */
  readonly children: string[] = [];

  constructor(folders: readonly string[] = []) {
    this.#folders = folders;
  }

  of(child: string, locator: ParentLocator): string[] {
    this.children.push(child);
    const paths: string[] = [];
    for (const [foundBy, path] of this.#candidates(child, locator)) {
      if (!this.#ways.has(path)) this.#ways.set(path, foundBy);
      paths.push(path);
    }
    return paths;
  }

  wayTo(path: string): FoundBy {
    return this.#ways.get(path) ?? 'named';
  }

  *#candidates(child: string, locator: ParentLocator): Generator<[FoundBy, string]> {
    const named = WAYS.filter(([, key]) => locator[key] !== undefined);
    for (const folder of this.#folders) {
      for (const [, key] of named) yield ['parents folder', join(folder, win32.basename(locator[key]!))];
    }
    const { parentLinkage } = locator;
    for (const [foundBy, key] of named) {
      for (const path of defaultParentPaths(child, { parentLinkage, [key]: locator[key] })) {
        yield [foundBy, path];
      }
    }
  }
}

/** Best first. */
const WAYS = [
  ['relative path', 'relativePath'],
  ['absolute path', 'absolutePath'],
  ['volume path', 'volumePath'],
] as const;
