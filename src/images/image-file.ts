/**
 * The file under an image being written: its names, its handle, its end. Formats add only their metadata.
 *
 *   create ── place / write … ── finish: metadata, fsync, close, final name
 *                            └── abort: close, remove
 */
import { open, type FileHandle } from 'node:fs/promises';
import { assert } from '../base/index.ts';
import { EarlyWriteback } from '../disk/index.ts';
import { imageFault } from './faults.ts';
import { ImageName, type ImageNameOptions } from './image-name.ts';

export class ImageFile {
  readonly name: ImageName;
  readonly #handle: FileHandle;
  /** Of what is written through the handle; workers that write by the path see to theirs themselves. */
  readonly #writeback: EarlyWriteback;
  #state: 'open' | 'finished' | 'aborted' = 'open';

  private constructor(name: ImageName, handle: FileHandle) {
    this.name = name;
    this.#handle = handle;
    this.#writeback = new EarlyWriteback(() => handle.datasync());
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
      this.#writeback.wrote(bytes.length);
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
      await this.#writeback.settle();
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
    await this.#writeback.settle().catch(() => {}); // what failed is being thrown away
    await this.#handle.close().catch(() => {}); // may be closed already, when `finish` failed
    await this.name.discard();
  }
}
