/**
 * A store in a folder of a local or mounted file system. An object is a file of its name, complete from the moment it can
 * be seen, and durable once the call that made it returned (see `directory-upload.ts`).
 */
import { dirname, join, resolve } from 'node:path';
import { mapOrdered } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { DirectoryUpload, syncFolder } from './directory-upload.ts';
import { errorCode, fileFault, storeFaults } from './faults.ts';
import { systemFiles, type FileCalls, type FileStats } from './file-calls.ts';
import { makeIncoming, removeLeftovers } from './incoming.ts';
import { checkName, checkPrefix, isNameSegment, singleUseFolder } from './object-name.ts';
import type { ObjectInfo, ObjectStore, ObjectUpload } from './port.ts';

/** Enough to hide the latency of a network mount; local file systems answer from memory. */
const STATS_AT_ONCE = 16;

export interface DirectoryStoreOptions {
  /** Creates the last folder of the path when it is missing; its parent must exist. Default: false. */
  readonly create?: boolean;
  /** Default: those of the system. */
  readonly files?: FileCalls;
}

/**
 * Opens a folder as a store and removes what writers that died left behind. Throws `STORE_FOLDER_MISSING`,
 * `STORE_NOT_A_FOLDER`, `STORE_ACCESS_DENIED`. A folder that can only be read opens; the first write then says why not.
 */
export async function openDirectoryStore(
  path: string,
  options: DirectoryStoreOptions = {},
): Promise<ObjectStore> {
  const root = resolve(path);
  const { files = systemFiles } = options;
  try {
    if (options.create) await files.mkdir(root).catch(ignoreExisting);
    const found = await files.stat(root);
    if (!found.isDirectory()) throw storeFaults.notAFolder({ location: root });
    await files.readdir(root, { withFileTypes: true }); // a folder we may not read is found out now, not in the middle of a backup
    await removeLeftovers(files, root);
    return new DirectoryStore(files, root, identityOf(found));
  } catch (error) {
    throw fileFault(error, root, root);
  }
}

function identityOf(folder: FileStats): string {
  return `${folder.dev}:${folder.ino}`;
}

function ignoreExisting(error: unknown): void {
  if (errorCode(error) !== 'EEXIST') throw error;
}

class DirectoryStore implements ObjectStore {
  readonly location: string;
  readonly localPath?: (name: string) => string;
  readonly #files: FileCalls;
  readonly #identity: string;
  readonly #folders = new Set<string>();
  #incoming: Promise<void> | undefined;

  constructor(files: FileCalls, root: string, identity: string) {
    this.#files = files;
    this.location = root;
    this.#identity = identity;
    if (files === systemFiles) this.localPath = (name) => this.#pathOf(name);
  }

  async putNew(name: string, body: Uint8Array, options?: CallOptions): Promise<void> {
    const upload = await this.startNew(name, options);
    await upload.append(body);
    await upload.commit();
  }

  async startNew(name: string, { signal }: CallOptions = {}): Promise<ObjectUpload> {
    checkName(name);
    signal?.throwIfAborted();
    try {
      await this.#makeIncomingOnce();
      return await DirectoryUpload.start({
        files: this.#files,
        root: this.location,
        name,
        signal,
        folders: this.#folders,
      });
    } catch (error) {
      throw fileFault(error, this.location, this.#pathOf(name));
    }
  }

  /** Once, so that a volume that went away is not mistaken for a fresh store: see `makeIncoming`. */
  #makeIncomingOnce(): Promise<void> {
    this.#incoming ??= makeIncoming(this.#files, this.location).catch((error: unknown) => {
      this.#incoming = undefined;
      throw error;
    });
    return this.#incoming;
  }

  async getRange(
    name: string,
    offset: number,
    length: number,
    { signal }: CallOptions = {},
  ): Promise<Uint8Array> {
    checkName(name);
    signal?.throwIfAborted();
    try {
      await using handle = await this.#files.open(this.#pathOf(name), 'r');
      const bytes = Buffer.allocUnsafeSlow(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) throw this.#truncated(name, offset + length, (await handle.stat()).size);
        signal?.throwIfAborted();
        done += bytesRead;
      }
      return bytes;
    } catch (error) {
      if (isAbsence(error)) await this.#checkFolder(error);
      throw this.#readFault(error, name);
    }
  }

  async stat(name: string, { signal }: CallOptions = {}): Promise<ObjectInfo | undefined> {
    checkName(name);
    signal?.throwIfAborted();
    return await this.#statFile(name);
  }

  async *list(prefix: string, { signal }: CallOptions = {}): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    await this.#checkFolder();
    yield* this.#listFolder('', prefix, signal);
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    checkName(name);
    signal?.throwIfAborted();
    try {
      await this.#files.unlink(this.#pathOf(name));
      // Not undone by a power loss: an index segment that came back after its successor went would count again.
      await syncFolder(this.#files, dirname(this.#pathOf(name)));
    } catch (error) {
      if (!isAbsence(error)) throw fileFault(error, this.location, this.#pathOf(name));
    }
    const folder = singleUseFolder(name);
    if (folder === undefined) return;
    this.#folders.delete(this.#pathOf(folder));
    // Not before its last object is gone: until then the file system refuses.
    await this.#files.rmdir(this.#pathOf(folder)).catch(() => {});
  }

  #pathOf(name: string): string {
    return join(this.location, name);
  }

  async *#listFolder(
    folder: string,
    prefix: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ObjectInfo> {
    const keys = (await this.#keysOf(folder)).filter(
      (key) => key.startsWith(prefix) || prefix.startsWith(key),
    );
    const found = mapOrdered(keys, STATS_AT_ONCE, async (key) => ({ key, info: await this.#infoOf(key) }));
    for await (const { key, info } of found) {
      signal?.throwIfAborted();
      if (key.endsWith('/')) yield* this.#listFolder(key, prefix, signal);
      else if (info && key.startsWith(prefix)) yield info;
    }
  }

  async #infoOf(key: string): Promise<ObjectInfo | undefined> {
    return key.endsWith('/') ? undefined : await this.#statFile(key);
  }

  /**
   * Names in a folder, sub-folders with their `/`: `a-b` comes before `a/x`, so sorting plain entries would not give the
   * names in order. Files that are not ours (`lost+found`, editors' copies) have no valid name and are passed over.
   */
  async #keysOf(folder: string): Promise<string[]> {
    try {
      const entries = await this.#files.readdir(join(this.location, folder), { withFileTypes: true });
      return entries
        .filter((entry) => isNameSegment(entry.name))
        .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
        .sort();
    } catch (error) {
      if (isAbsence(error)) await this.#checkFolder(error);
      if (isAbsence(error)) return [];
      throw fileFault(error, this.location, join(this.location, folder));
    }
  }

  async #statFile(name: string): Promise<ObjectInfo | undefined> {
    try {
      const found = await this.#files.lstat(this.#pathOf(name));
      return found.isFile() ? { name, size: found.size } : undefined;
    } catch (error) {
      if (isAbsence(error)) await this.#checkFolder(error);
      if (isAbsence(error)) return undefined;
      throw fileFault(error, this.location, this.#pathOf(name));
    }
  }

  /**
   * Before an object is called absent: is the volume still there? An empty mount point would otherwise look like a
   * repository that lost everything.
   */
  async #checkFolder(cause?: unknown): Promise<void> {
    const root = await this.#files.stat(this.location).catch(() => undefined);
    if (root && identityOf(root) === this.#identity) return;
    throw storeFaults.folderMissing({ location: this.location }, { cause });
  }

  #truncated(name: string, end: number, size: number): Error {
    return storeFaults.truncated({ name, location: this.location, end, size });
  }

  #readFault(error: unknown, name: string): unknown {
    return isAbsence(error)
      ? storeFaults.notFound({ name, location: this.location }, { cause: error })
      : fileFault(error, this.location, this.#pathOf(name));
  }
}

function isAbsence(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errorCode(error) ?? '');
}
