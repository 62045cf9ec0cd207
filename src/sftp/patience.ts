/**
 * How long a piece goes on trying while its server is away: at once, then less and less often, then no more. Whenever any
 * piece of the file arrives, the server is there, and the next failure counts as the first: else the many pieces under way
 * would each wait longer with each break of a connection that works in between.
 */
import { hasCode, sleep } from '../base/index.ts';

/** A new connection may cure these. A refusal, a changed file or a damaged message it would not. */
const CURABLE = ['SSH_CONNECTION_LOST', 'SSH_UNREACHABLE', 'SSH_TIMED_OUT', 'SFTP_TIMED_OUT'];
const FIRST_PAUSE_MS = 200;
const PAUSE_MS_MAX = 4_000;

export class Patience {
  readonly #milliseconds: number;
  readonly #arrived: () => number;
  #arrivedBefore = -1;
  #deadline: number | undefined;
  #pauseMs = 0;

  /** `arrived`: how many pieces of the file have come so far. */
  constructor(milliseconds: number, arrived: () => number) {
    this.#milliseconds = milliseconds;
    this.#arrived = arrived;
  }

  /** Waits until it is worth trying again. Throws `error` when that would help nothing or has taken too long. */
  async afterFailure(error: unknown, signal: AbortSignal): Promise<void> {
    if (!hasCode(error, ...CURABLE)) throw error;
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
