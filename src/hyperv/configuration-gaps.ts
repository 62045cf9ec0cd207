/**
 * What of a VM's settings the host did not tell. They describe the VM and hold none of its data, so that no backup fails for
 * them: the answers that are missing are named, and the rest is kept.
 */
import { isFault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';

/** A host that fails at three questions in a row is in trouble, and is not asked the other ten, each of which may take minutes. */
const FAILURES_MAX = 3;

export class ConfigurationGaps {
  readonly unread: string[] = [];
  readonly #options: CallOptions;
  #failures = 0;
  #reason = '';

  constructor(options: CallOptions) {
    this.#options = options;
  }

  /** Why the first of them is missing. */
  get reason(): string {
    return this.#reason;
  }

  /** What `ask` answers; `otherwise` when the host fails, with the gap noted as `what`. */
  async filled<T>(what: string, ask: () => Promise<T>, otherwise: T): Promise<T> {
    if (this.#failures >= FAILURES_MAX) return this.#missing(what, otherwise);
    try {
      const answer = await ask();
      this.#failures = 0;
      return answer;
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!isFault(error) || error.kind === 'bug') throw error;
      this.#failures += 1;
      this.#reason ||= error.message;
      return this.#missing(what, otherwise);
    }
  }

  #missing<T>(what: string, otherwise: T): T {
    this.unread.push(what);
    return otherwise;
  }
}
