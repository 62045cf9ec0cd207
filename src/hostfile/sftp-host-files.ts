/**
 * Host files by SFTP, for a host whose port 22 is open: OpenSSH on Windows, or a file server that has the disks.
 *
 *   C:\VMs\a.vhdx       /C:/VMs/a.vhdx          as OpenSSH on Windows writes it
 *   anything else       by `mappings`, or not at all
 *
 * A Windows server finds a name in any case. Where a name is not found, its folders are looked through for one that differs in
 * case only, so that a file server on Linux finds what the host calls by another case.
 */
import { isFault, type FaultFactory } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { createSftpClient, type SftpClient, type SftpOptions } from '../sftp/index.ts';
import { hostFileFaults } from './faults.ts';
import { longestMapping, parseMappings, type FolderMapping, type ParsedMapping } from './folder-mapping.ts';
import { OpenReaders } from './open-readers.ts';
import type { HostFiles } from './port.ts';
import { findRemote, joinRemote } from './remote-name.ts';
import { namesBelow, parseWindowsPath, type WindowsPath } from './windows-path.ts';

export interface SftpHostFilesOptions extends SftpOptions {
  /** Folders found elsewhere than their drive says; `to` is an absolute path as SFTP writes it: `/srv/vms`, `/E:/VMs`. */
  readonly mappings?: readonly FolderMapping[];
}

interface RemotePlace {
  /** Taken as it is. */
  readonly root: string;
  /** Below it, in any case. */
  readonly names: readonly string[];
}

/** Throws `HOSTFILE_BAD_MAPPING`. Nothing is sent before a file is opened. */
export function createSftpHostFiles(options: SftpHostFilesOptions): HostFiles {
  return new SftpHostFiles(options);
}

class SftpHostFiles implements HostFiles {
  readonly #host: string;
  readonly #mappings: readonly ParsedMapping<string>[];
  readonly #readers = new OpenReaders();
  readonly #client: SftpClient;

  constructor(options: SftpHostFilesOptions) {
    this.#host = options.host;
    this.#mappings = parseMappings(options.mappings ?? [], parseRemoteFolder);
    this.#client = createSftpClient(options);
  }

  open(path: string, options: CallOptions = {}): Promise<RangeReader> {
    return this.#readers.open(() => this.#open(path), options.signal);
  }

  describe(): string {
    const mapped = this.#mappings.map(({ from, to }) => `, ${from} at ${to}`).join('');
    return `files by SFTP from ${this.#host}${mapped}`;
  }

  async close(): Promise<void> {
    await this.#readers.close();
    await this.#client.close();
  }

  async #open(path: string): Promise<RangeReader> {
    const { root, names } = this.#placeOf(parseWindowsPath(path), path);
    const asWritten = joinRemote(root, names);
    try {
      return await this.#client.open(asWritten);
    } catch (error) {
      if (!isFault(error) || error.code !== 'SFTP_NOT_FOUND') throw openFault(error, path, asWritten);
    }
    try {
      return await this.#client.open(await findRemote(this.#client, root, names, path));
    } catch (error) {
      throw openFault(error, path, asWritten);
    }
  }

  #placeOf(target: WindowsPath, path: string): RemotePlace {
    const mapping = longestMapping(this.#mappings, target);
    if (mapping) return { root: mapping.target, names: namesBelow(mapping.folder, target)! };
    const { root, names } = target;
    if (/^[a-z]:$/i.test(root)) return { root: `/${root.toUpperCase()}`, names };
    throw hostFileFaults.noMapping({ path });
  }
}

function parseRemoteFolder(to: string): string {
  if (!to.startsWith('/')) throw new Error('it does not begin with /');
  const names = to.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..') || to.includes('\u0000')) throw new Error('it climbs by .., or holds a zero');
  return `/${names.join('/')}`;
}

const OPEN_FAULTS: Readonly<Record<string, FaultFactory>> = {
  SFTP_NOT_FOUND: hostFileFaults.notFound,
  SFTP_NOT_A_FILE: hostFileFaults.notAFile,
  // Win32-OpenSSH answers a file that is held open in this way too.
  SFTP_ACCESS_DENIED: hostFileFaults.noAccessOrHeld,
  SFTP_SERVER_FAILED: hostFileFaults.unavailable,
};

/** What concerns the file has a code of the port; what concerns the host (host key, log-on, reach) keeps its own. */
function openFault(error: unknown, path: string, localPath: string): unknown {
  if (!isFault(error)) return error;
  const make = OPEN_FAULTS[error.code];
  return make ? make({ path, localPath, reason: error.message }, { cause: error }) : error;
}
