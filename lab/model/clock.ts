/** Time as the lab sees it: real in a process of its own, moved by hand in tests that must not wait. */
import { sleep } from '../../src/base/index.ts';

export interface LabClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after `milliseconds`; zero resolves at once. Throws the signal's reason when aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const realClock: LabClock = {
  now: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    signal?.throwIfAborted();
    if (milliseconds > 0) await sleep(milliseconds, signal);
  },
};

interface Sleeper {
  readonly wakesAt: number;
  wake(): void;
}

/** Stands still until {@link ManualClock.advance}. */
export class ManualClock implements LabClock {
  #now: number;
  #sleepers: Sleeper[] = [];

  constructor(start: Date = new Date('2026-01-02T03:04:05Z')) {
    this.#now = start.getTime();
  }

  now(): number {
    return this.#now;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (milliseconds <= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const sleeper = { wakesAt: this.#now + milliseconds, wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener(
        'abort',
        () => {
          this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
          reject(signal.reason as Error);
        },
        { once: true },
      );
    });
  }

  /** Moves time forward, waking sleepers in the order of their time, each with a chance to sleep again. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      const next = this.#sleepers.sort((a, b) => a.wakesAt - b.wakesAt)[0];
      if (!next || next.wakesAt > end) break;
      this.#now = Math.max(this.#now, next.wakesAt);
      this.#sleepers.shift();
      next.wake();
      await settleTurn();
    }
    this.#now = end;
  }
}

/** Lets everything that became runnable run up to its next wait for I/O or time. */
function settleTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
