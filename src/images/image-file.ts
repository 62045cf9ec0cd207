/**
 * The file under an image being written: its names, its handle, its end. Formats add only their metadata.
 *
 *   create ── place / write … ── finish: metadata, fsync, close, final name
 *                            └── abort: close, remove
 */
import { open, type FileHandle } from 'node:fs/promises';
import { assert, MiB } from '../base/index.ts';
import { imageFault } from './faults.ts';
import { ImageName, type ImageNameOptions } from './image-name.ts';

/**
 * What is written through the handle goes to the disk while more is being made: left to the end, the flush of a large image
 * stands still for a second per 300 MB.
 */
const WRITEBACK_STEP_BYTES = 128 * MiB;

export class ImageFile {
  readonly name: ImageName;
  readonly #handle: FileHandle;
  #unflushedBytes = 0;
  #writeback: Promise<void> | undefined;
  /** The system tells a handle of a lost write once: it must not be forgotten until the end. */
  #writebackFailure: { readonly error: unknown } | undefined;
  #state: 'open' | 'finished' | 'aborted' = 'open';

  private constructor(name: ImageName, handle: FileHandle) {
    this.name = name;
    this.#handle = handle;
  }

  static async create(path: string, options: ImageNameOptions): Promise<ImageFile> {
    const name = await ImageName.choose(path, options);
    try {
      return new ImageFile(name, await open(name.partialPath, 'wx+'));
    } catch (error) {
      throw imageFault(error, name.partialPath);
    }
  }

  checkOpen(): void {
    assert(this.#state === 'open', 'an image is not used after it was finished or aborted');
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
      this.#wrote(bytes.length);
    } catch (error) {
      throw imageFault(error, this.name.partialPath);
    }
  }

  /** Makes the file `size` bytes long; what is new reads as zeros and takes no room. */
  async setSize(size: number): Promise<void> {
    await this.#handle.truncate(size);
  }

  /** Makes everything durable, what others wrote through the path included, and gives the final name. */
  async finish(): Promise<void> {
    this.checkOpen();
    try {
      await this.#writeback;
      if (this.#writebackFailure) throw this.#writebackFailure.error;
      await this.#handle.sync();
      await this.#handle.close();
    } catch (error) {
      throw imageFault(error, this.name.partialPath);
    }
    await this.name.complete();
    this.#state = 'finished';
  }

  /** Idempotent; nothing after `finish` succeeded. */
  async abort(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    await this.#writeback;
    await this.#handle.close().catch(() => {}); // may be closed already, when `finish` failed
    await this.name.discard();
  }

  #wrote(bytes: number): void {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < WRITEBACK_STEP_BYTES || this.#writeback) return;
    this.#unflushedBytes = 0;
    this.#writeback = this.#handle
      .datasync()
      .catch((error: unknown) => {
        this.#writebackFailure ??= { error };
      })
      .finally(() => {
        this.#writeback = undefined;
      });
  }
}
