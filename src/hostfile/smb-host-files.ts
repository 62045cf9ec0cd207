/**
 * Host files by SMB 3.1.1, always encrypted, without any software on the host.
 *
 *   C:\VMs\a.vhdx           \\host\C$\VMs\a.vhdx            the administrative share of the drive
 *   \\host\vms\a.vhdx       itself                          a share of the host
 *   anything else           by `mappings`, or not at all
 *
 * Another server named in the path of a disk gets no log-on of ours unless a mapping names it: the path comes from
 * whoever configured the VM, and a log-on is worth an attack. For a clustered disk, `host` is the node that owns the VM:
 * `C:\ClusterStorage\Volume1` is a folder of each node's C$.
 */
import { isFault, type FaultFactory } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { createSmbClient, type SmbClient, type SmbOptions } from '../smb/index.ts';
import { hostFileFaults } from './faults.ts';
import { longestMapping, parseMappings, type FolderMapping, type ParsedMapping } from './folder-mapping.ts';
import { OpenReaders } from './open-readers.ts';
import type { HostFiles } from './port.ts';
import { foldName, namesBelow, parseWindowsPath, type WindowsPath } from './windows-path.ts';

export interface SmbHostFilesOptions extends SmbOptions {
  /** Folders reached by another share than their own; `to` is `\\server\share` or a folder below one. */
  readonly mappings?: readonly FolderMapping[];
}

interface SharePlace {
  readonly server: string;
  readonly share: string;
  readonly names: readonly string[];
}

/** Throws `HOSTFILE_BAD_MAPPING`. Nothing is sent before a file is opened. */
export function createSmbHostFiles(options: SmbHostFilesOptions): HostFiles {
  return new SmbHostFiles(options);
}

class SmbHostFiles implements HostFiles {
  readonly #options: SmbHostFilesOptions;
  readonly #mappings: readonly ParsedMapping<SharePlace>[];
  readonly #readers = new OpenReaders();
  /** By folded name of the server. */
  readonly #clients = new Map<string, SmbClient>();

  constructor(options: SmbHostFilesOptions) {
    this.#options = options;
    this.#mappings = parseMappings(options.mappings ?? [], parseSharePlace);
  }

  open(path: string, options: CallOptions = {}): Promise<RangeReader> {
    return this.#readers.open(() => this.#open(path), options.signal);
  }

  describe(): string {
    const mapped = this.#mappings.map(({ from, to }) => `, ${from} at ${to}`).join('');
    return `files by SMB 3.1.1, encrypted, from ${this.#options.host}${mapped}`;
  }

  async close(): Promise<void> {
    await this.#readers.close();
    await Promise.all(Array.from(this.#clients.values(), (client) => client.close()));
  }

  async #open(path: string): Promise<RangeReader> {
    const { server, share, names } = this.#placeOf(parseWindowsPath(path), path);
    if (names.length === 0) throw hostFileFaults.notAFile({ path, localPath: `\\\\${server}\\${share}` });
    try {
      return await this.#client(server).open(share, names.join('\\'));
    } catch (error) {
      throw openFault(error, path, `\\\\${[server, share, ...names].join('\\')}`);
    }
  }

  #placeOf(target: WindowsPath, path: string): SharePlace {
    const mapping = longestMapping(this.#mappings, target);
    if (mapping) {
      const { target: place, folder } = mapping;
      return { ...place, names: [...place.names, ...namesBelow(folder, target)!] };
    }
    return ownShare(this.#options.host, target, path);
  }

  #client(server: string): SmbClient {
    const key = foldName(server);
    const client = this.#clients.get(key) ?? createSmbClient({ ...this.#options, host: server });
    this.#clients.set(key, client);
    return client;
  }
}

function ownShare(host: string, { root, names }: WindowsPath, path: string): SharePlace {
  if (/^[a-z]:$/i.test(root)) return { server: host, share: `${root[0]!}$`, names };
  const place = shareOf(root);
  if (!place) throw hostFileFaults.noShare({ path, reason: 'a volume without a drive letter has none' });
  const { server, share } = place;
  if (foldName(server) === foldName(host)) return { server: host, share, names };
  throw hostFileFaults.noShare({ path, reason: `it is of the server ${server}, which no mapping names` });
}

function parseSharePlace(to: string): SharePlace {
  const { root, names } = parseWindowsPath(to);
  const place = shareOf(root);
  if (!place) throw new Error('it does not begin with \\\\server\\share');
  return { ...place, names };
}

/** Server and share of a root like `\\nas\vms`. */
function shareOf(root: string): { server: string; share: string } | undefined {
  const [, server, share] = /^\\\\([^\\?]+)\\([^\\]+)$/.exec(root) ?? [];
  return server === undefined || share === undefined ? undefined : { server, share };
}

const OPEN_FAULTS: Readonly<Record<string, FaultFactory>> = {
  SMB_NOT_FOUND: hostFileFaults.notFound,
  SMB_NO_SUCH_SHARE: hostFileFaults.noShare,
  SMB_BAD_NAME: hostFileFaults.badPath,
  SMB_NOT_A_FILE: hostFileFaults.notAFile,
  SMB_ACCESS_DENIED: hostFileFaults.noAccess,
  SMB_SHARING_VIOLATION: hostFileFaults.inUse,
};

/** What concerns the file has a code of the port; what concerns the host (log-on, encryption, reach) keeps its own. */
function openFault(error: unknown, path: string, localPath: string): unknown {
  if (!isFault(error)) return error;
  const make = OPEN_FAULTS[error.code];
  return make ? make({ path, localPath, reason: error.message }, { cause: error }) : error;
}
