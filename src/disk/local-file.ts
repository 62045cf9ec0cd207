/** A local file being written: positional reads and writes that are never short, and its errors as faults. */
import { open, rm, type FileHandle } from 'node:fs/promises';
import { MiB, type Fault, type FaultFactory } from '../base/index.ts';
import { diskFaults } from './faults.ts';
import { FileReader } from './file-reader.ts';
import type { CallOptions, RangeReader } from './ports.ts';
import { checkRange } from './range.ts';

const ZEROS = new Uint8Array(MiB);

/** What a file is written through; the crash tests put a recorder here. */
export type FileMedium = Pick<FileHandle, 'read' | 'write' | 'truncate' | 'datasync' | 'close'>;

export class LocalFile implements RangeReader {
  readonly path: string;
  readonly #handle: FileMedium;
  #size: number;
  #syncFailure: { error: unknown } | undefined;

  /** `handle` is open, `size` bytes long, and belongs to this object from now on. */
  constructor(path: string, handle: FileMedium, size: number) {
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

  /** Makes a new file; the fault `exists` when there is one. */
  static async create(path: string, exists: FaultFactory): Promise<LocalFile> {
    try {
      return new LocalFile(path, await open(path, 'wx+'), 0);
    } catch (error) {
      const taken = (error as NodeJS.ErrnoException).code === 'EEXIST';
      throw taken ? exists({ path }, { cause: error }) : localFileFault(path, error);
    }
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

  /**
   * Everything written, by this handle or another, survives a crash afterwards. Once this failed it fails for ever: the
   * system drops what it could not write, so a later success would promise bytes that are gone.
   */
  async sync(): Promise<void> {
    if (this.#syncFailure) throw this.#syncFailure.error;
    try {
      await attempt(this.path, () => this.#handle.datasync());
    } catch (error) {
      this.#syncFailure = { error };
      throw error;
    }
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

/** Opens a local file read-only for the time of `task`. */
export async function reading<T>(path: string, task: (reader: RangeReader) => Promise<T>): Promise<T> {
  const reader = await attempt(path, () => FileReader.open(path));
  try {
    return await task(reader);
  } finally {
    await reader.close();
  }
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw localFileFault(path, error);
  }
}

/** A file larger than its file system allows is a full volume to its user: another folder helps. */
const NO_SPACE = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** The fault for what the system answered when the local file at `path` was read or written. */
export function localFileFault(path: string, cause: unknown): Fault {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (NO_SPACE.includes(code ?? '')) return diskFaults.noSpace({ path }, { cause });
  return diskFaults.ioFailed({ path, reason: message }, { cause });
}
