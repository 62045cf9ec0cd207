/**
 * Keeps our reads from making storage slow for those who work on it. The time of each read is the measure: while reads take
 * longer than the threshold fewer of them run at once, and when one at a time is still too many there are pauses between them.
 *
 *   slow:   64 at once → 32 → 16 → … → 1 → pause 10 ms → 20 → 40 → … → 1 s
 *   quick:  the pause halves until it is gone, then one more at once with every round
 *
 * Down by halves and up by ones, as TCP does: storage that is in trouble is left alone at once, and is loaded again slowly. A
 * round is as many reads as may run at once, so that the reads that were under way when it got slow count once.
 */
import { realClock, type Clock } from './clock.ts';

const WIDTH_MAX = 64;
const PAUSE_MS_MIN = 10;
const PAUSE_MS_MAX = 1000;

interface Waiter {
  start(): void;
}

export class LatencyGuard {
  readonly #thresholdMs: number;
  readonly #clock: Clock;
  readonly #waiting: Waiter[] = [];
  #width = WIDTH_MAX;
  #pauseMs = 0;
  #running = 0;
  #round = { reads: 0, totalMs: 0 };

  constructor(thresholdMs: number, clock: Clock = realClock) {
    this.#thresholdMs = thresholdMs;
    this.#clock = clock;
  }

  /** How many reads may run at once now, and the pause after each, in ms. */
  get state(): { readonly width: number; readonly pauseMs: number } {
    return { width: this.#width, pauseMs: this.#pauseMs };
  }

  /** Runs `read` when its turn has come. */
  async run<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#admitted(signal);
    try {
      if (this.#pauseMs > 0) await this.#clock.sleep(this.#pauseMs, signal);
      const started = this.#clock.now();
      const result = await read();
      this.#learn(this.#clock.now() - started);
      return result;
    } finally {
      this.#running -= 1;
      this.#admitNext();
    }
  }

  async #admitted(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#running < this.#width && this.#waiting.length === 0) {
      this.#running += 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { start: resolve };
    const giveUp = (): void => {
      const at = this.#waiting.indexOf(waiter);
      if (at >= 0) this.#waiting.splice(at, 1);
      reject(signal!.reason as Error);
    };
    this.#waiting.push(waiter);
    signal?.addEventListener('abort', giveUp, { once: true });
    await promise.finally(() => signal?.removeEventListener('abort', giveUp));
  }

  #admitNext(): void {
    while (this.#running < this.#width && this.#waiting.length > 0) {
      this.#running += 1;
      this.#waiting.shift()!.start();
    }
  }

  #learn(tookMs: number): void {
    this.#round.reads += 1;
    this.#round.totalMs += tookMs;
    if (this.#round.reads < this.#width) return;
    const isSlow = this.#round.totalMs / this.#round.reads > this.#thresholdMs;
    this.#round = { reads: 0, totalMs: 0 };
    if (isSlow) this.#slowDown();
    else this.#speedUp();
  }

  #slowDown(): void {
    if (this.#width > 1) this.#width = Math.floor(this.#width / 2);
    else this.#pauseMs = Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, this.#pauseMs * 2));
  }

  #speedUp(): void {
    if (this.#pauseMs > 0) this.#pauseMs = this.#pauseMs > PAUSE_MS_MIN ? this.#pauseMs / 2 : 0;
    else this.#width = Math.min(WIDTH_MAX, this.#width + 1);
  }
}
