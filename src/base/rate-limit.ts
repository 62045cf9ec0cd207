/**
 * Bytes per second for all that share one limit. What is taken is paid for by whoever comes next: the first goes at once, the
 * second when the time of the first has passed, in the order of asking. Time without use is not saved up, so that a pause is
 * not followed by a burst that the limit was set to prevent.
 */
import { realClock, type Clock } from './clock.ts';

export class RateLimit {
  readonly #bytesPerMs: number;
  readonly #clock: Clock;
  #paidUntil = -Infinity;

  constructor(bytesPerSecond: number, clock: Clock = realClock) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#clock = clock;
  }

  /** Resolves when `bytes` may go. A caller that gives up while it waits has still taken its share: its run ends anyway. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const now = this.#clock.now();
    const turn = Math.max(now, this.#paidUntil);
    this.#paidUntil = turn + bytes / this.#bytesPerMs;
    if (turn > now) await this.#clock.sleep(turn - now, signal);
  }
}
