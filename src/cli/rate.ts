/** How far a phase is, how fast it goes and how long it will take. Fast means: over the last ten seconds. */

// A rate over the whole phase would hide a stall for hours; one over less than this would flicker.
const WINDOW_MS = 10_000;
const SAMPLE_EVERY_MS = 500;

export interface PhaseState {
  readonly name: string;
  readonly doneBytes: number;
  readonly totalBytes: number | undefined;
  readonly seconds: number;
  /** Undefined until there is enough to tell. */
  readonly bytesPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
}

export class RateMeter {
  readonly name: string;
  readonly #total: number | undefined;
  readonly #now: () => number;
  readonly #started: number;
  /** Oldest first, at most WINDOW_MS / SAMPLE_EVERY_MS + 2 of them. */
  readonly #samples: { at: number; done: number }[];
  #done = 0;

  constructor(name: string, totalBytes: number | undefined, now: () => number) {
    this.name = name;
    this.#total = totalBytes;
    this.#now = now;
    this.#started = now();
    this.#samples = [{ at: this.#started, done: 0 }];
  }

  advance(bytes: number): void {
    this.#done += bytes;
  }

  state(): PhaseState {
    const now = this.#now();
    this.#sample(now);
    const rate = this.#rate(now);
    const left = this.#total === undefined ? undefined : Math.max(0, this.#total - this.#done);
    return {
      name: this.name,
      doneBytes: this.#done,
      totalBytes: this.#total,
      seconds: (now - this.#started) / 1000,
      bytesPerSecond: rate,
      secondsLeft: left === undefined || rate === undefined || rate === 0 ? undefined : left / rate,
    };
  }

  /** Bytes per second over the whole phase. */
  average(): number {
    const seconds = (this.#now() - this.#started) / 1000;
    return seconds > 0 ? this.#done / seconds : 0;
  }

  #sample(now: number): void {
    if (now - this.#samples.at(-1)!.at < SAMPLE_EVERY_MS) return;
    this.#samples.push({ at: now, done: this.#done });
    while (this.#samples.length > 2 && this.#samples[1]!.at <= now - WINDOW_MS) this.#samples.shift();
  }

  #rate(now: number): number | undefined {
    const oldest = this.#samples[0]!;
    const elapsed = now - oldest.at;
    return elapsed < SAMPLE_EVERY_MS ? undefined : ((this.#done - oldest.done) * 1000) / elapsed;
  }
}
