/** Host files as a capture reads them, each open and read in the schedule, and an audit of when they happen (I6). */
import type { CallOptions, RangeReader } from '../../src/disk/index.ts';
import type { HostFiles } from '../../src/hostfile/index.ts';
import type { Schedule } from './schedule.ts';

/**
 * From the moment the host is asked to convert or to destroy a checkpoint of ours, the files it froze are merged into. A
 * read that comes later, or a file still open then, would in practice be right most of the time, so the lab's content alone
 * would not show it.
 */
export class ReadAudit implements HostFiles {
  readonly violations: string[] = [];
  readonly #inner: HostFiles;
  readonly #schedule: Schedule;
  #open = 0;
  #thawed = false;

  constructor(inner: HostFiles, schedule: Schedule) {
    this.#inner = inner;
    this.#schedule = schedule;
  }

  /** A checkpoint of ours is about to be made. */
  frozen(): void {
    this.#thawed = false;
  }

  /** A checkpoint of ours is about to go. */
  thawed(how: string): void {
    if (this.#open > 0) this.violations.push(`${this.#open} host files are open at ${how}`);
    this.#thawed = true;
  }

  async open(path: string, options?: CallOptions): Promise<RangeReader> {
    const call = { peer: 'file', name: `open ${path}`, changes: false } as const;
    return this.#schedule.around(call, async () => {
      const reader = await this.#inner.open(path, options);
      this.#open += 1;
      return new AuditedReader(reader, {
        read: (run) =>
          this.#schedule.around({ peer: 'file', name: `read ${path}`, changes: false }, () => {
            this.#check(`${path} was read`);
            return run();
          }),
        closed: () => {
          this.#open -= 1;
        },
      });
    });
  }

  describe(): string {
    return this.#inner.describe();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #check(what: string): void {
    if (this.#thawed) this.violations.push(`${what} after the checkpoint was given back`);
  }
}

interface Listener {
  read(run: () => Promise<void>): Promise<void>;
  closed(): void;
}

class AuditedReader implements RangeReader {
  readonly #inner: RangeReader;
  readonly #listener: Listener;
  #closed = false;

  constructor(inner: RangeReader, listener: Listener) {
    this.#inner = inner;
    this.#listener = listener;
  }

  get size(): number {
    return this.#inner.size;
  }

  read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#listener.read(() => this.#inner.read(offset, into, options));
  }

  async close(): Promise<void> {
    if (!this.#closed) this.#listener.closed();
    this.#closed = true;
    await this.#inner.close();
  }
}
