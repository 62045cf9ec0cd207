/**
 * Faults of the connection on demand, for tests: what a network, a proxy or an expired session does to an exchange. The
 * list given to `startWire` is live: rules pushed later take effect, spent rules are removed from it.
 */
export interface WireFaultRule {
  /** `Enumerate`, `Pull`, `Release`, `Get`, `Identify`, a method name, or `*` for any. */
  readonly action: string;
  /**
   * `drop-before` breaks the connection without doing anything, `drop-after` does it and then breaks; `truncate` sends
   * half of the answer, `corrupt` flips one byte of it; `expire` answers 401 and forgets the session, `expire-after` does
   * so once the host has done it; `fault` answers that the provider failed and does nothing; `delay` waits first;
   * `time-out` answers w:TimedOut at once, and the host does it after the wait.
   */
  readonly kind:
    | 'drop-before'
    | 'drop-after'
    | 'truncate'
    | 'corrupt'
    | 'expire'
    | 'expire-after'
    | 'fault'
    | 'time-out'
    | 'delay';
  /** So many matching requests pass first; 0 when left out. */
  readonly after?: number;
  /** So many requests are hit; 1 when left out. */
  readonly times?: number;
  /** What `delay` and `time-out` wait; 0 when left out. */
  readonly delayMs?: number;
  /** Instead of `delayMs`, for a test that moves the time by hand. */
  readonly wait?: () => Promise<void>;
}

export type WireFaults = WireFaultRule[];

export class Disturbances {
  readonly #rules: WireFaults;
  readonly #seen = new WeakMap<WireFaultRule, number>();

  constructor(rules: WireFaults) {
    this.#rules = rules;
  }

  /** The rule that hits this request. Every matching rule counts the request, the first that is due is applied. */
  next(action: string): WireFaultRule | undefined {
    const matching = this.#rules.filter((rule) => rule.action === '*' || rule.action === action);
    const due = matching.filter((rule) => this.#count(rule) > (rule.after ?? 0));
    for (const rule of matching) if (this.#isSpent(rule)) this.#rules.splice(this.#rules.indexOf(rule), 1);
    return due[0];
  }

  #count(rule: WireFaultRule): number {
    const seen = (this.#seen.get(rule) ?? 0) + 1;
    this.#seen.set(rule, seen);
    return seen;
  }

  #isSpent(rule: WireFaultRule): boolean {
    return (this.#seen.get(rule) ?? 0) >= (rule.after ?? 0) + (rule.times ?? 1);
  }
}
