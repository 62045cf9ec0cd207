/** Bounded concurrency over streams of work. Nothing here buffers more than it is told to. */

/**
 * Runs `work` over `items`, at most `depth` at once, and yields results in the order of the items.
 * When a call fails, the ones under way are awaited (their results dropped) before the error is thrown,
 * so that nothing of ours still runs behind the caller's back.
 */
export async function* mapOrdered<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  depth: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const promise = work(item);
      promise.catch(ignore); // awaited below; without this an early failure would be an unhandled rejection
      running.push(promise);
      if (running.length >= depth) yield await running.shift()!;
    }
    while (running.length > 0) yield await running.shift()!;
  } finally {
    await Promise.allSettled(running);
  }
}

/** Runs `work` over `items`, at most `depth` at once; the first failure stops the intake and is thrown. */
export async function forEachBounded<T>(
  items: Iterable<T> | AsyncIterable<T>,
  depth: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  try {
    for await (const item of items) {
      if (failure) break;
      const promise: Promise<void> = work(item)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => running.delete(promise));
      running.add(promise);
      if (running.size >= depth) await Promise.race(running);
    }
  } finally {
    await Promise.all(running);
  }
  if (failure) throw failure.error;
}

function ignore(): void {}

/** One task at a time, in the order of asking. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task, task);
    this.#tail = result.catch(ignore);
    return result;
  }
}
