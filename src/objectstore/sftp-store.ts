/**
 * A store in a folder of a server that is reached by SFTP.
 *
 *   .incoming/MARK-RANDOM.part ── write, fsync@openssh.com ── plain rename ──► the name
 *
 * The plain rename of OpenSSH makes a link and so refuses a name that exists; its posix-rename would replace. A server whose
 * rename replaces is found out by `hvlift init` and `hvlift doctor repo`. SFTP has no way to make a name durable: after
 * a power cut of the server its file system decides whether the last names are there, as docs/operating/storage.md says.
 */
import { randomBytes } from 'node:crypto';
import { hasCode, type Fault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { SftpTree, type Entry, type SftpOptions } from '../sftp/index.ts';
import { storeFaults } from './faults.ts';
import { ABANDONED_AFTER_MS, INCOMING } from './incoming.ts';
import { checkName, checkPrefix, isNameSegment, singleUseFolder } from './object-name.ts';
import type { ObjectInfo, ObjectStore, ObjectUpload } from './port.ts';
import { processMark, processState } from './process-mark.ts';
import { sameStored } from './same-stored.ts';
import { SpooledUpload } from './spooled-upload.ts';

export interface SftpStoreOptions extends Omit<SftpOptions, 'connections' | 'reconnectSeconds'> {
  /** As the server shows it: `/backup/hvlift`. */
  readonly path: string;
  /** Creates the last folder of the path when it is missing. Default: false. */
  readonly create?: boolean;
}

/**
 * Throws `STORE_FOLDER_MISSING`, `STORE_NOT_A_FOLDER`, `STORE_ACCESS_DENIED`, and the faults of a log-on by SSH. The caller
 * closes the store.
 */
export async function openSftpStore(
  { path, create = false, ...server }: SftpStoreOptions,
  { signal }: CallOptions = {},
): Promise<ObjectStore> {
  const tree = new SftpTree(server);
  const { host, port = 22, user } = server;
  const location = `sftp://${user}@${host}${port === 22 ? '' : `:${port}`}${path}`;
  const store = new SftpStore(tree, path.replace(/\/+$/, ''), location);
  try {
    await store.open(create, { signal });
    return store;
  } catch (error) {
    await tree.close();
    throw error;
  }
}

class SftpStore implements ObjectStore {
  readonly location: string;
  readonly #tree: SftpTree;
  readonly #root: string;
  /** It was seen or made: when it is gone, so is the volume. */
  #hasIncoming = false;

  constructor(tree: SftpTree, root: string, location: string) {
    this.location = location;
    this.#tree = tree;
    this.#root = root;
  }

  async open(create: boolean, options: CallOptions): Promise<void> {
    await this.#telling('', async () => {
      if (create) await this.#tree.makeFolder(this.#root || '/', options);
      const found = await this.#tree.stat(this.#root || '/', options);
      if (!found) throw storeFaults.folderMissing({ location: this.location });
      if (found.kind === 'file') throw storeFaults.notAFolder({ location: this.location });
      const left = await this.#tree.entries(this.#path(INCOMING), options);
      this.#hasIncoming = left !== undefined;
      await this.#removeLeftovers(left ?? [], options);
    });
  }

  async putNew(name: string, body: Uint8Array, options: CallOptions = {}): Promise<void> {
    checkName(name);
    options.signal?.throwIfAborted();
    await this.#telling(name, async () => {
      const part = await this.#writePart(body, options);
      try {
        if (await this.#rename(part, name, options)) return;
      } catch (error) {
        await this.#drop(part);
        throw error;
      }
      await this.#drop(part);
      if (await sameStored(this, name, body, options.signal)) return;
      throw storeFaults.nameTaken({ name, location: this.location });
    });
  }

  async startNew(name: string, { signal }: CallOptions = {}): Promise<ObjectUpload> {
    checkName(name);
    signal?.throwIfAborted();
    return new SpooledUpload({ name, signal, put: (body) => this.putNew(name, body, { signal }) });
  }

  async getRange(
    name: string,
    offset: number,
    length: number,
    options: CallOptions = {},
  ): Promise<Uint8Array> {
    checkName(name);
    options.signal?.throwIfAborted();
    const end = offset + length;
    const found = await this.stat(name, options);
    if (!found) throw storeFaults.notFound({ name, location: this.location });
    if (end > found.size) throw this.#truncated(name, end, found.size);
    if (length === 0) return new Uint8Array(0);
    const bytes = await this.#telling(name, () => this.#tree.read(this.#path(name), offset, length, options));
    if (bytes.length < length) throw this.#truncated(name, end, offset + bytes.length);
    return bytes;
  }

  async stat(name: string, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    checkName(name);
    options.signal?.throwIfAborted();
    return await this.#telling(name, async () => {
      const found = await this.#tree.stat(this.#path(name), options);
      if (!found) await this.#demandVolume(options);
      return found?.kind === 'file' ? { name, size: found.size } : undefined;
    });
  }

  async *list(prefix: string, options: CallOptions = {}): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    options.signal?.throwIfAborted();
    await this.#telling(prefix, () => this.#demandVolume(options));
    yield* this.#listFolder('', prefix, options);
  }

  async delete(name: string, options: CallOptions = {}): Promise<void> {
    checkName(name);
    options.signal?.throwIfAborted();
    await this.#telling(name, () => this.#tree.remove(this.#path(name), options));
    const folder = singleUseFolder(name);
    // Not before its last object is gone: until then the server refuses.
    if (folder !== undefined) await this.#tree.removeFolder(this.#path(folder), options).catch(() => {});
  }

  async close(): Promise<void> {
    await this.#tree.close();
  }

  /** Sub-folders carry their `/` when names are put in order: `a-b` comes before `a/x`. */
  async *#listFolder(folder: string, prefix: string, options: CallOptions): AsyncGenerator<ObjectInfo> {
    const path = this.#path(folder.slice(0, -1));
    const entries = await this.#telling(folder, () => this.#tree.entries(path, options));
    const found = (entries ?? [])
      .filter((entry) => isNameSegment(entry.name) && entry.kind !== 'other')
      .map((entry) => ({ key: folder + entry.name + (entry.kind === 'folder' ? '/' : ''), size: entry.size }))
      .filter(({ key }) => key.startsWith(prefix) || prefix.startsWith(key))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    for (const { key, size } of found) {
      options.signal?.throwIfAborted();
      if (key.endsWith('/')) yield* this.#listFolder(key, prefix, options);
      else if (key.startsWith(prefix)) yield { name: key, size };
    }
  }

  /** The folder for parts is made once: when it is gone later, the volume is, and must not be mistaken for a fresh one. */
  async #writePart(body: Uint8Array, options: CallOptions): Promise<string> {
    if (!this.#hasIncoming) await this.#tree.makeFolder(this.#path(INCOMING), options);
    this.#hasIncoming = true;
    const part = this.#path(`${INCOMING}/${processMark()}-${randomBytes(8).toString('hex')}.part`);
    try {
      await this.#tree.writeNew(part, body, options);
      return part;
    } catch (error) {
      await this.#drop(part);
      if (hasCode(error, 'SFTP_NOT_FOUND')) throw storeFaults.folderMissing({ location: this.location });
      throw error;
    }
  }

  /** The folders above are made when they turn out to be missing: nearly always they are there. */
  async #rename(part: string, name: string, options: CallOptions): Promise<boolean> {
    try {
      return await this.#tree.rename(part, this.#path(name), options);
    } catch (error) {
      if (!hasCode(error, 'SFTP_NOT_FOUND')) throw error;
    }
    const folders = name.split('/').slice(0, -1);
    for (const index of folders.keys()) {
      await this.#tree.makeFolder(this.#path(folders.slice(0, index + 1).join('/')), options);
    }
    return await this.#tree.rename(part, this.#path(name), options);
  }

  async #drop(part: string): Promise<void> {
    await this.#tree.remove(part).catch(() => {}); // removed when the store is opened next
  }

  /** What a dead process of this machine left; of others, what was not written to for a week before the newest. */
  async #removeLeftovers(entries: readonly Entry[], options: CallOptions): Promise<void> {
    const newest = Math.max(0, ...entries.map(({ modified }) => modified));
    for (const { name, modified } of entries) {
      const state = processState(name.split('-')[0]!);
      const abandoned = state === 'unknown' && (newest - modified) * 1000 > ABANDONED_AFTER_MS;
      if (name.endsWith('.part') && (state === 'dead' || abandoned)) {
        await this.#tree.remove(this.#path(`${INCOMING}/${name}`), options).catch(() => {});
      }
    }
  }

  /** Before an object is called absent: is the volume still there? */
  async #demandVolume(options: CallOptions): Promise<void> {
    const path = this.#hasIncoming ? this.#path(INCOMING) : this.#root || '/';
    if (!(await this.#tree.stat(path, options))) throw storeFaults.folderMissing({ location: this.location });
  }

  async #telling<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#storeFault(error, name);
    }
  }

  /** OpenSSH says "Failure" for a full volume as for anything else. */
  #storeFault(error: unknown, name: string): unknown {
    const { location } = this;
    const details = (): Fault['details'] => (error as Fault).details;
    if (hasCode(error, 'SFTP_NOT_FOUND')) {
      const absent = name === '' ? storeFaults.folderMissing : storeFaults.notFound;
      return absent({ name, location }, { cause: error });
    }
    if (hasCode(error, 'SFTP_ACCESS_DENIED'))
      return storeFaults.accessDenied({ location, path: String(details()['path']) }, { cause: error });
    if (!hasCode(error, 'SFTP_SERVER_FAILED')) return error;
    const { command, reason } = details();
    const operation = `an SFTP ${String(command)} of ${name}`;
    const more = command === 'WRITE' ? `${String(reason)}; its volume may be full` : String(reason);
    return storeFaults.serverFailed({ location, operation, reason: more }, { cause: error });
  }

  #truncated(name: string, end: number, size: number): Error {
    return storeFaults.truncated({ name, location: this.location, end, size });
  }

  #path(name: string): string {
    return name === '' ? this.#root || '/' : `${this.#root}/${name}`;
  }
}
