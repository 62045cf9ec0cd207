/** What `close` of every disk promises: what is under way ends first, and nothing begins afterwards. */
import { diskFaults } from './faults.ts';

export class InUse {
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  get closed(): boolean {
    return this.#closed;
  }

  /** Throws `DISK_CLOSED`. */
  check(): void {
    if (this.#closed) throw diskFaults.closed();
  }

  /** Rejects with `DISK_CLOSED` after {@link end}. */
  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(diskFaults.closed());
    const tracked: Promise<T> = work().finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }

  /** Resolves when nothing is under way any more: true the first time, which is the caller's to close, false ever after. */
  async end(): Promise<boolean> {
    const isFirst = !this.#closed;
    this.#closed = true;
    await Promise.allSettled(this.#running);
    return isFirst;
  }
}
