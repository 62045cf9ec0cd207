/**
 * How long a piece goes on trying while its server is away: at once, then less and less often, then no more. Whenever any
 * piece of the file arrives, the server is there, and the next failure counts as the first: else the many pieces under way
 * would each wait longer with each break of a connection that works in between.
 */
import { hasCode, sleep } from '../base/index.ts';

const FIRST_PAUSE_MS = 200;
const PAUSE_MS_MAX = 4_000;

export class Patience {
  readonly #milliseconds: number;
  readonly #arrived: () => number;
  readonly #curable: readonly string[];
  #arrivedBefore = -1;
  #deadline: number | undefined;
  #pauseMs = 0;

  /** `arrived`: how many pieces of the file have come so far. `curable`: codes that a new connection may cure. */
  constructor(milliseconds: number, arrived: () => number, curable: readonly string[]) {
    this.#milliseconds = milliseconds;
    this.#arrived = arrived;
    this.#curable = curable;
  }

  /** Waits until it is worth trying again. Throws `error` when that would help nothing or has taken too long. */
  async afterFailure(error: unknown, signal: AbortSignal): Promise<void> {
    if (!hasCode(error, ...this.#curable)) throw error;
    this.#startOverAfterProgress();
    const now = performance.now();
    this.#deadline ??= now + this.#milliseconds;
    if (now + this.#pauseMs > this.#deadline) throw error;
    if (this.#pauseMs > 0) await sleep(this.#pauseMs, signal);
    this.#pauseMs = Math.min(PAUSE_MS_MAX, Math.max(FIRST_PAUSE_MS, 2 * this.#pauseMs));
  }

  #startOverAfterProgress(): void {
    const arrived = this.#arrived();
    if (arrived === this.#arrivedBefore) return;
    this.#arrivedBefore = arrived;
    this.#deadline = undefined;
    this.#pauseMs = 0;
  }
}
