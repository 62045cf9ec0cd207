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
import { longestMapping, parseMappings, type FolderMapping, type ParsedMapping } from './folder-mapping.ts';
import { findLocal } from './local-name.ts';
import { OpenReaders } from './open-readers.ts';
import type { HostFiles } from './port.ts';
import { namesBelow, parseWindowsPath } from './windows-path.ts';

export interface FsHostFilesOptions {
  readonly mappings: readonly FolderMapping[];
}

/** Throws `HOSTFILE_BAD_MAPPING`. Nothing is touched on disk before a file is opened. */
export function createFsHostFiles(options: FsHostFilesOptions): HostFiles {
  return new FsHostFiles(parseMappings(options.mappings, parseFolder));
}

class FsHostFiles implements HostFiles {
  readonly #mappings: readonly ParsedMapping<string>[];
  readonly #readers = new OpenReaders();

  constructor(mappings: readonly ParsedMapping<string>[]) {
    this.#mappings = mappings;
  }

  open(path: string, options: CallOptions = {}): Promise<RangeReader> {
    return this.#readers.open(() => this.#open(path), options.signal);
  }

  async #open(path: string): Promise<RangeReader> {
    const target = parseWindowsPath(path);
    const mapping = longestMapping(this.#mappings, target);
    if (!mapping) throw hostFileFaults.noMapping({ path });
    const { folder, target: root } = mapping;
    let localPath = root;
    try {
      localPath = await findLocal(root, namesBelow(folder, target)!, path);
      return await openFile(localPath, path);
    } catch (error) {
      throw isFault(error) ? error : openFault(error as NodeJS.ErrnoException, path, localPath);
    }
  }

  describe(): string {
    return `files by folder: ${this.#mappings.map(({ from, target }) => `${from} at ${target}`).join(', ')}`;
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

function parseFolder(to: string): string {
  if (to.trim() === '') throw new Error('it is empty');
  return resolve(to);
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
