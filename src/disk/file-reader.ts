/** A local file as a `RangeReader`: positional reads, any number at once, never short. */
import type { Stats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Extent } from '../extents/index.ts';
import { nextData } from '../native/index.ts';
import { diskFaults } from './faults.ts';
import { InUse } from './in-use.ts';
import type { CallOptions, FilePlace, LocalFileId, RangeReader } from './ports.ts';
import { checkRange } from './range.ts';

export class FileReader implements RangeReader {
  readonly path: string;
  readonly size: number;
  readonly #file: LocalFileId;
  readonly #handle: FileHandle;
  readonly #use = new InUse();

  private constructor(path: string, handle: FileHandle, { size, dev, ino }: Stats) {
    this.path = path;
    this.#file = { path, identity: { device: dev, inode: ino } };
    this.#handle = handle;
    this.size = size;
  }

  /** Opens read-only. The caller maps errors of `open` itself (ENOENT, EACCES) to a fault of its own. */
  static async open(path: string): Promise<FileReader> {
    const handle = await open(path, 'r');
    try {
      return new FileReader(path, handle, await handle.stat());
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  read(offset: number, into: Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.#use.run(() => this.#fill(offset, into, options.signal));
  }

  async #fill(offset: number, into: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    checkRange(offset, into.length, this.size);
    for (let done = 0; done < into.length;) {
      signal?.throwIfAborted();
      const bytesRead = await this.#readSome(into, done, offset + done);
      if (bytesRead === 0) {
        throw diskFaults.truncated({
          path: this.path,
          end: offset + done,
          missing: into.length - done,
        });
      }
      done += bytesRead;
    }
  }

  async #readSome(into: Uint8Array, at: number, position: number): Promise<number> {
    try {
      return (await this.#handle.read(into, at, into.length - at, position)).bytesRead;
    } catch (error) {
      throw diskFaults.ioFailed({ path: this.path, reason: (error as Error).message }, { cause: error });
    }
  }

  locate(offset: number, length: number): FilePlace | undefined {
    const inside = offset >= 0 && offset + length <= this.size;
    return inside && !this.#use.closed ? { file: this.#file, fileOffset: offset } : undefined;
  }

  nextData(from: number): Extent | undefined {
    this.#use.check();
    if (from >= this.size) return undefined;
    const found = nextData(this.#handle.fd, from, this.size);
    return found === 'all' ? { offset: from, length: this.size - from } : found;
  }

  async close(): Promise<void> {
    if (await this.#use.end()) await this.#handle.close();
  }
}
