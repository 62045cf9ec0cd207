/**
 * One object on its way into a directory store:
 *
 *   part file ── append… ── fsync ── name given (publish) ── fsync of the folder ── visible and durable
 *
 * The order matters: a name that survives a crash must lead to bytes that survived it too.
 */
import { dirname, join } from 'node:path';
import { assert, Mutex } from '../base/index.ts';
import { errorCode, fileFault, storeFaults } from './faults.ts';
import { removeFile, type FileCalls, type OpenFile } from './file-calls.ts';
import { claimPath, newPartPath } from './incoming.ts';
import type { ObjectUpload } from './port.ts';
import { publish } from './publish.ts';
import { sameBytes } from './same-bytes.ts';

export interface UploadPlace {
  readonly files: FileCalls;
  readonly root: string;
  readonly name: string;
  readonly signal: AbortSignal | undefined;
  /** Folders of the store whose names are known to be durable. */
  readonly folders: Set<string>;
}

export class DirectoryUpload implements ObjectUpload {
  readonly #place: UploadPlace;
  readonly #part: string;
  readonly #handle: OpenFile;
  readonly #mutex = new Mutex();
  #state: 'open' | 'failed' | 'done' = 'open';
  #size = 0;

  private constructor(place: UploadPlace, part: string, handle: OpenFile) {
    this.#place = place;
    this.#part = part;
    this.#handle = handle;
  }

  static async start(place: UploadPlace): Promise<DirectoryUpload> {
    const part = newPartPath(place.root);
    return new DirectoryUpload(place, part, await place.files.open(part, 'wx'));
  }

  get size(): number {
    return this.#size;
  }

  append(body: Uint8Array): Promise<void> {
    return this.#step(async () => {
      this.#place.signal?.throwIfAborted();
      await writeAll(this.#handle, body, this.#size);
      this.#size += body.length;
    });
  }

  commit(): Promise<void> {
    return this.#step(async () => {
      this.#place.signal?.throwIfAborted();
      // When fsync fails, the kernel may have dropped the dirty pages: asking again would succeed and prove nothing.
      await this.#handle.sync();
      await this.#handle.close();
      await this.#giveName();
      this.#state = 'done';
    });
  }

  abort(): Promise<void> {
    return this.#mutex.run(async () => {
      if (this.#state === 'done') return;
      this.#state = 'done';
      await this.#discard();
    });
  }

  /** One step at a time, in the order of asking; after a failed one the object cannot be completed any more. */
  #step(work: () => Promise<void>): Promise<void> {
    return this.#mutex.run(async () => {
      assert(this.#state !== 'done', 'an upload is not used after it ended');
      if (this.#state === 'failed') throw storeFaults.uploadFailed({ name: this.#place.name });
      try {
        await work();
      } catch (error) {
        this.#state = 'failed';
        await this.#discard();
        throw fileFault(error, this.#place.root, join(this.#place.root, this.#place.name));
      }
    });
  }

  async #giveName(): Promise<void> {
    const { files, root, name } = this.#place;
    const path = join(root, name);
    await makeFolders(this.#place, dirname(name));
    const claim = claimPath(root, name);
    const published = await publish({ files, part: this.#part, path, claim, name, location: root });
    if (!published && !(await sameBytes(files, this.#part, path)))
      throw storeFaults.nameTaken({ name, location: root });
    if (!published) await removeFile(files, this.#part);
    // Also when the object was there: its writer may have died before this step.
    await syncFolder(files, dirname(path));
  }

  async #discard(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await removeFile(this.#place.files, this.#part).catch(() => {});
  }
}

async function writeAll(handle: OpenFile, body: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < body.length;) {
    done += (await handle.write(body, done, body.length - done, position + done)).bytesWritten;
  }
}

/** Creates the folders of `relative` below `root`, never `root` itself (see `makeIncoming`), each durable in its parent. */
async function makeFolders({ files, root, folders }: UploadPlace, relative: string): Promise<void> {
  if (relative === '.') return;
  let folder = root;
  for (const segment of relative.split('/')) {
    const parent = folder;
    folder = join(parent, segment);
    if (folders.has(folder)) continue;
    await makeFolder(files, folder);
    // Also when it was there: whoever made it may be about to sync it, or have died before.
    await syncFolder(files, parent);
    folders.add(folder);
  }
}

async function makeFolder(files: FileCalls, folder: string): Promise<void> {
  await files.mkdir(folder).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error;
  });
}

/** Windows has no such call, and NTFS journals names by itself. */
export async function syncFolder(files: FileCalls, folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await files.open(folder, 'r');
  await handle.sync();
}
