/** The file under a VHD being written: positional reads and writes that are never short, and its errors as faults. */
import { open, rm, type FileHandle } from 'node:fs/promises';
import { MiB } from '../base/index.ts';
import { checkRange, diskFaults, type CallOptions, type RangeReader } from '../disk/index.ts';
import { vhdFaults } from './faults.ts';

const ZEROS = new Uint8Array(MiB);

export class LocalFile implements RangeReader {
  readonly path: string;
  readonly #handle: FileHandle;
  #size: number;

  private constructor(path: string, handle: FileHandle, size: number) {
    this.path = path;
    this.#handle = handle;
    this.#size = size;
  }

  /** Opens an existing file to read and write. */
  static async open(path: string): Promise<LocalFile> {
    const handle = await attempt(path, () => open(path, 'r+'));
    try {
      return new LocalFile(path, handle, (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Makes a new file; `VHD_FILE_EXISTS` when there is one. */
  static async create(path: string): Promise<LocalFile> {
    return new LocalFile(path, await attempt(path, () => open(path, 'wx+')), 0);
  }

  get size(): number {
    return this.#size;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(offset, into.length, this.#size);
    for (let done = 0; done < into.length;) {
      const { bytesRead } = await attempt(this.path, () =>
        this.#handle.read(into, done, into.length - done, offset + done),
      );
      if (bytesRead === 0) {
        const missing = into.length - done;
        throw diskFaults.truncated({ path: this.path, end: offset + done, missing });
      }
      done += bytesRead;
    }
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await attempt(this.path, () =>
        this.#handle.write(bytes, done, bytes.length - done, offset + done),
      );
      done += bytesWritten;
    }
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  async zero(offset: number, length: number, options: CallOptions = {}): Promise<void> {
    for (let done = 0; done < length; done += ZEROS.length) {
      options.signal?.throwIfAborted();
      await this.write(offset + done, ZEROS.subarray(0, Math.min(ZEROS.length, length - done)));
    }
  }

  /** Makes the file at least `size` bytes long; what is added reads as zeros and takes no room. */
  async extend(size: number): Promise<void> {
    if (size <= this.#size) return;
    await attempt(this.path, () => this.#handle.truncate(size));
    this.#size = size;
  }

  /** Everything written, by this handle or another, survives a crash afterwards. */
  async sync(): Promise<void> {
    await attempt(this.path, () => this.#handle.sync());
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Closes the file and removes it. */
  async discard(): Promise<void> {
    await this.#handle.close();
    await rm(this.path, { force: true });
  }
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw vhdFaults.fileExists({ path }, { cause: error });
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
      throw diskFaults.noSpace({ path }, { cause: error });
    }
    throw diskFaults.ioFailed({ path, reason: message }, { cause: error });
  }
}
