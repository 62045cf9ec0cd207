/**
 * Has a file that is still growing written to its disk, so that little is left for the flush at its end: a large image that
 * only goes into the page cache stands still for a second per 2 GB, on a slow disk per 300 MB, when everything else is done.
 */
import { MiB } from '../base/index.ts';

const STEP_BYTES = 128 * MiB;

export class EarlyWriteback {
  readonly #flush: () => Promise<void>;
  #unflushedBytes = 0;
  #running: Promise<void> | undefined;
  /** The system tells a handle of a lost write once: it must not be forgotten until the end. */
  #failure: { readonly error: unknown } | undefined;

  /** `flush`: fdatasync of a handle that was open before the first byte was written. Never called twice at once. */
  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
  }

  wrote(bytes: number): void {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < STEP_BYTES || this.#running) return;
    this.#unflushedBytes = 0;
    this.#running = this.#flush()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Waits for the flush under way. Throws what any of them failed with; what was written since the last is not flushed. */
  async settle(): Promise<void> {
    await this.#running;
    if (this.#failure) throw this.#failure.error;
  }
}
