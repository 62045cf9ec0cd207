/**
 * Host files through the local file system: a share of the host mounted here, or hvlift running on the host itself.
 *
 *   createFsHostFiles({ mappings: [{ from: 'C:\\ClusterStorage', to: '/mnt/csv' }] })
 *
 * The mapping whose `from` is the longest one above the file is used.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isFault, type FaultFactory } from '../base/index.ts';
import { FileReader, type CallOptions, type RangeReader } from '../disk/index.ts';
import { hostFileFaults } from './faults.ts';
import { findLocal } from './local-name.ts';
import { OpenReaders } from './open-readers.ts';
import type { HostFiles } from './port.ts';
import { namesBelow, parseWindowsPath, type WindowsPath } from './windows-path.ts';

export interface FolderMapping {
  /** A folder as the host names it: `C:\ClusterStorage`, `\\nas\vms`. */
  readonly from: string;
  /** Where that folder is reached here: `/mnt/csv`. */
  readonly to: string;
}

export interface FsHostFilesOptions {
  readonly mappings: readonly FolderMapping[];
}

interface ParsedMapping extends FolderMapping {
  readonly folder: WindowsPath;
}

/** Throws `HOSTFILE_BAD_MAPPING`. Nothing is touched on disk before a file is opened. */
export function createFsHostFiles(options: FsHostFilesOptions): HostFiles {
  return new FsHostFiles(parseMappings(options.mappings));
}

class FsHostFiles implements HostFiles {
  readonly #mappings: readonly ParsedMapping[];
  readonly #readers = new OpenReaders();

  constructor(mappings: readonly ParsedMapping[]) {
    this.#mappings = mappings;
  }

  open(path: string, options: CallOptions = {}): Promise<RangeReader> {
    return this.#readers.open(() => this.#open(path), options.signal);
  }

  async #open(path: string): Promise<RangeReader> {
    const target = parseWindowsPath(path);
    const mapping = longestMapping(this.#mappings, target);
    if (!mapping) throw hostFileFaults.noMapping({ path });
    const { folder, to } = mapping;
    let localPath = to;
    try {
      localPath = await findLocal(to, namesBelow(folder, target)!, path);
      return await openFile(localPath, path);
    } catch (error) {
      throw isFault(error) ? error : openFault(error as NodeJS.ErrnoException, path, localPath);
    }
  }

  describe(): string {
    return `files by folder: ${this.#mappings.map(({ from, to }) => `${from} at ${to}`).join(', ')}`;
  }

  close(): Promise<void> {
    return this.#readers.close();
  }
}

/** Looks before it opens: opening a named pipe would wait for a writer for ever. */
async function openFile(localPath: string, path: string): Promise<RangeReader> {
  if (!(await stat(localPath)).isFile()) throw hostFileFaults.notAFile({ path, localPath });
  return FileReader.open(localPath);
}

function longestMapping(mappings: readonly ParsedMapping[], target: WindowsPath): ParsedMapping | undefined {
  return mappings
    .filter(({ folder }) => namesBelow(folder, target) !== undefined)
    .toSorted((a, b) => b.folder.names.length - a.folder.names.length)[0];
}

function parseMappings(mappings: readonly FolderMapping[]): ParsedMapping[] {
  const parsed = mappings.map(parseMapping);
  parsed.forEach(({ from, to, folder }, index) => {
    const twin = parsed.slice(0, index).find((other) => isSameFolder(other.folder, folder));
    if (twin)
      throw hostFileFaults.badMapping({ from, to, reason: `the folder is already mapped to ${twin.to}` });
  });
  return parsed;
}

function parseMapping({ from, to }: FolderMapping): ParsedMapping {
  if (to.trim() === '') throw hostFileFaults.badMapping({ from, to, reason: '`to` is empty' });
  try {
    return { from, to: resolve(to), folder: parseWindowsPath(from) };
  } catch (error) {
    const reason = isFault(error) ? String(error.details['reason']) : String(error);
    throw hostFileFaults.badMapping({ from, to, reason: `\`from\`: ${reason}` }, { cause: error });
  }
}

function isSameFolder(a: WindowsPath, b: WindowsPath): boolean {
  return a.names.length === b.names.length && namesBelow(a, b) !== undefined;
}

/** EBUSY and ETXTBSY are what a Linux CIFS mount and Windows make of a sharing violation. */
const OPEN_FAULTS: Readonly<Record<string, FaultFactory>> = {
  ENOENT: hostFileFaults.notFound,
  ENOTDIR: hostFileFaults.notFound,
  EACCES: hostFileFaults.noAccess,
  EPERM: hostFileFaults.noAccess,
  EBUSY: hostFileFaults.inUse,
  ETXTBSY: hostFileFaults.inUse,
};

function openFault(error: NodeJS.ErrnoException, path: string, localPath: string): Error {
  const make = OPEN_FAULTS[error.code ?? ''] ?? hostFileFaults.unavailable;
  return make({ path, localPath, reason: error.code ?? error.message }, { cause: error });
}
