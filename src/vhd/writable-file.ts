/** What both kinds of writable file have in common: checked ranges, and a flush and a close that wait for writes under way. */
import { checkRange, diskFaults, type CallOptions, type LocalFile, type RangeWriter } from '../disk/index.ts';
import { vhdFaults } from './faults.ts';
import { SECTOR } from './format.ts';

export abstract class WritableFile implements RangeWriter {
  readonly size: number;
  protected readonly file: LocalFile;
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  constructor(file: LocalFile, size: number) {
    this.file = file;
    this.size = size;
  }

  protected abstract writeRange(offset: number, bytes: Uint8Array, options: CallOptions): Promise<void>;
  protected abstract zeroRange(offset: number, length: number, options: CallOptions): Promise<void>;
  /** Makes durable what was written, then what names it. */
  protected abstract flushTables(): Promise<void>;

  write(offset: number, bytes: Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.#track(offset, bytes.length, options, () => this.writeRange(offset, bytes, options));
  }

  zero(offset: number, length: number, options: CallOptions = {}): Promise<void> {
    return this.#track(offset, length, options, () => this.zeroRange(offset, length, options));
  }

  async flush(): Promise<void> {
    if (this.#closed) throw diskFaults.closed();
    await this.#flush();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.#flush();
    } finally {
      await this.file.close();
    }
  }

  async #flush(): Promise<void> {
    await Promise.allSettled(this.#running);
    await this.flushTables();
  }

  async #track(
    offset: number,
    length: number,
    options: CallOptions,
    work: () => Promise<void>,
  ): Promise<void> {
    if (this.#closed) throw diskFaults.closed();
    options.signal?.throwIfAborted();
    checkRange(offset, length, this.size);
    if (offset % SECTOR !== 0 || length % SECTOR !== 0) throw vhdFaults.unalignedWrite({ offset, length });
    const tracked: Promise<void> = work().finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }
}
