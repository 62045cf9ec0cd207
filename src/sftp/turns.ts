/** So many at a time; who comes later waits in order, and may give up waiting. */
export class Turns {
  #free: number;
  readonly #line: { readonly start: () => void; readonly fail: (error: unknown) => void }[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(count: number) {
    this.#free = count;
  }

  /** Throws the signal's reason, or what ended all turns. */
  take(signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#failure) throw this.#failure.error;
    signal?.throwIfAborted();
    if (this.#free === 0) return this.#wait(signal);
    this.#free -= 1;
    return undefined;
  }

  give(): void {
    const next = this.#line.shift();
    if (next) next.start();
    else this.#free += 1;
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { fail } of this.#line.splice(0)) fail(error);
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#line.splice(this.#line.indexOf(place), 1);
        reject(signal!.reason);
      };
      const settle = (outcome: () => void): void => {
        signal?.removeEventListener('abort', onAbort);
        outcome();
      };
      const place = { start: () => settle(resolve), fail: (error: unknown) => settle(() => reject(error)) };
      this.#line.push(place);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
