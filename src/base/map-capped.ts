/** Work that shares things with room for a few: at most so many at once in all, and of each thing. */

export interface CappedWork<T> {
  readonly item: T;
  /** Names of what it takes one place of, each once. */
  readonly uses: readonly string[];
}

export interface Caps {
  readonly atOnce: number;
  /** Places of the thing with this name. */
  placesOf(use: string): number;
}

/**
 * Runs `work` over the items and yields results as they come. Items begin in their order, but one that has to wait for a place
 * does not hold up those behind it. The first failure stops the intake; what is under way is awaited and its results are
 * yielded before the failure is thrown. Whoever stops taking results waits for what is under way too.
 */
export async function* mapCapped<T, R>(
  items: readonly CappedWork<T>[],
  caps: Caps,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const queue = new CappedQueue(items, caps, work);
  try {
    queue.fill();
    for (let next = await queue.next(); next; next = await queue.next()) yield next.result;
  } finally {
    await queue.stop();
  }
  queue.throwFailure();
}

class CappedQueue<T, R> {
  readonly #waiting: CappedWork<T>[];
  readonly #caps: Caps;
  readonly #work: (item: T) => Promise<R>;
  readonly #running = new Set<Promise<void>>();
  readonly #taken = new Map<string, number>();
  readonly #done: { readonly result: R }[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(items: readonly CappedWork<T>[], caps: Caps, work: (item: T) => Promise<R>) {
    this.#waiting = [...items];
    this.#caps = caps;
    this.#work = work;
  }

  /** Begins what there is room for. Again whenever something ends, so that nothing waits for whoever takes the results. */
  fill(): void {
    for (let at = 0; at < this.#waiting.length && this.#running.size < this.#caps.atOnce;) {
      const next = this.#waiting[at]!;
      if (next.uses.every((use) => this.#takenOf(use) < this.#caps.placesOf(use))) {
        this.#waiting.splice(at, 1);
        this.#begin(next);
      } else at += 1;
    }
  }

  /** Undefined when there is no more. */
  async next(): Promise<{ readonly result: R } | undefined> {
    while (this.#done.length === 0 && this.#running.size > 0) await Promise.race(this.#running);
    return this.#done.shift();
  }

  async stop(): Promise<void> {
    this.#waiting.length = 0;
    await Promise.all(this.#running);
  }

  throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #begin({ item, uses }: CappedWork<T>): void {
    for (const use of uses) this.#taken.set(use, this.#takenOf(use) + 1);
    const run: Promise<void> = this.#run(item).finally(() => {
      for (const use of uses) this.#taken.set(use, this.#takenOf(use) - 1);
      this.#running.delete(run);
      this.fill();
    });
    this.#running.add(run);
  }

  async #run(item: T): Promise<void> {
    try {
      this.#done.push({ result: await this.#work(item) });
    } catch (error) {
      this.#failure ??= { error };
      this.#waiting.length = 0;
    }
  }

  #takenOf(use: string): number {
    return this.#taken.get(use) ?? 0;
  }
}
