/**
 * Tries again what time may mend: an answer that was lost, a server that restarts or has too much to do. The one place for
 * it; drivers try nothing twice.
 *
 * Every call of the port may be made twice: a name that was given by an attempt whose answer was lost holds the same bytes. An
 * upload is tried again at its commit, where the driver still holds all of it.
 */
import { hasCode, isFault, realClock, type Clock } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { ObjectInfo, ObjectStore } from './port.ts';
import { layered } from './store-layer.ts';

export interface RetryOptions {
  /** Of waiting, for one call, all pauses together. Default 60: a gateway that is restarted is back by then. */
  readonly patienceSeconds?: number;
  readonly clock?: Clock;
  /** From 0 to 1: spreads the clients of a server that had to turn many of them away. */
  readonly random?: () => number;
}

const FIRST_PAUSE_MS = 200;
const PAUSE_MS_MAX = 10_000;

export function retryingStore(inner: ObjectStore, options: RetryOptions = {}): ObjectStore {
  const patience = (): Patience => new Patience(options);
  return layered(
    inner,
    async ({ signal }, run) => {
      const left = patience();
      for (;;) {
        try {
          return await run();
        } catch (error) {
          await left.wait(error, signal);
        }
      }
    },
    (prefix, call) => listPatiently(inner, prefix, call, patience),
  );
}

/** Goes on behind the last name that came: a list of a million must not begin anew. */
async function* listPatiently(
  inner: ObjectStore,
  prefix: string,
  options: CallOptions,
  patience: () => Patience,
): AsyncGenerator<ObjectInfo> {
  let last: string | undefined;
  for (let left = patience(); ;) {
    try {
      for await (const found of inner.list(prefix, options)) {
        if (last !== undefined && found.name <= last) continue;
        last = found.name;
        left = patience();
        yield found;
      }
      return;
    } catch (error) {
      await left.wait(error, options.signal);
    }
  }
}

/** Of one call: each pause twice as long as the last one, until the waiting is used up. */
class Patience {
  readonly #clock: Clock;
  readonly #random: () => number;
  #leftMs: number;
  #pauseMs = FIRST_PAUSE_MS;

  constructor({ patienceSeconds = 60, clock = realClock, random = Math.random }: RetryOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#leftMs = patienceSeconds * 1000;
  }

  /** Throws `error` when another try would not mend it or there was enough waiting, else the signal's reason. */
  async wait(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    if (!passes(error)) throw error;
    signal?.throwIfAborted();
    if (this.#leftMs <= 0) throw error;
    const pauseMs = Math.min(this.#leftMs, this.#pauseMs * (0.5 + this.#random() / 2));
    this.#leftMs -= pauseMs;
    this.#pauseMs = Math.min(PAUSE_MS_MAX, 2 * this.#pauseMs);
    await this.#clock.sleep(pauseMs, signal);
  }
}

/** An upload that lost a piece has lost it for good. */
function passes(error: unknown): boolean {
  return isFault(error) && error.kind === 'retry' && !hasCode(error, 'STORE_UPLOAD_FAILED');
}
