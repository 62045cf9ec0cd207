/**
 * Has a file that is still growing written to its disk, so that little is left for the flush at its end: a restore that
 * only writes into the page cache stands still for a second per 2 GB when everything else is done.
 *
 * A hint and nothing more. Whoever finishes the file flushes it through a handle of its own and learns of every error.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { MiB } from '../base/index.ts';

const STEP_BYTES = 128 * MiB;

export class EarlyWriteback implements AsyncDisposable {
  readonly #path: string;
  #handle: FileHandle | undefined;
  #dirtyBytes = 0;
  #flush: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  wrote(bytes: number): void {
    this.#dirtyBytes += bytes;
    if (this.#dirtyBytes < STEP_BYTES || this.#flush) return;
    this.#dirtyBytes = 0;
    this.#flush = this.#flushNow()
      .catch(() => {})
      .finally(() => {
        this.#flush = undefined;
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flush;
    await this.#handle?.close();
  }

  async #flushNow(): Promise<void> {
    this.#handle ??= await open(this.#path, 'r+');
    await this.#handle.datasync();
  }
}
