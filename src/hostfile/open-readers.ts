/**
 * The readers one way to a host has given out. Closing the way closes them all, because a forgotten one would keep the
 * host from merging the file; an open that is no longer wanted is closed when it arrives at last.
 */
import { unlessAborted } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { hostFileFaults } from './faults.ts';

export class OpenReaders {
  readonly #open = new Set<RangeReader>();
  #closed = false;

  /** The reader `start` yields. A hung mount must not hold a cancelled run, so the signal ends the wait, not only the work. */
  async open(start: () => Promise<RangeReader>, signal?: AbortSignal): Promise<RangeReader> {
    signal?.throwIfAborted();
    if (this.#closed) throw hostFileFaults.closed();
    const arriving = start().then((inner) => this.#arrive(inner));
    return unlessAborted(arriving, signal, (late) => late.close());
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(Array.from(this.#open, (reader) => reader.close()));
  }

  async #arrive(inner: RangeReader): Promise<RangeReader> {
    const reader = new OwnedReader(inner, () => this.#open.delete(reader));
    this.#open.add(reader);
    if (!this.#closed) return reader;
    await reader.close();
    throw hostFileFaults.closed();
  }
}

class OwnedReader implements RangeReader {
  readonly #inner: RangeReader;
  readonly #onClose: () => void;

  constructor(inner: RangeReader, onClose: () => void) {
    this.#inner = inner;
    this.#onClose = onClose;
  }

  get size(): number {
    return this.#inner.size;
  }

  read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#inner.read(offset, into, options);
  }

  close(): Promise<void> {
    this.#onClose();
    return this.#inner.close();
  }
}
