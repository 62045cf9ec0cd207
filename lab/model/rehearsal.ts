/** Misbehaviour on demand: what the next calls of a method shall suffer. */

export type Misbehaviour =
  /** The method answers this number and does nothing. */
  | { readonly kind: 'return'; readonly code: number }
  /** WMI fails with this status, e.g. 0x80041002. */
  | { readonly kind: 'wmi-error'; readonly status: number }
  /** The connection breaks before the call had an effect, or after it. */
  | { readonly kind: 'drop'; readonly when: 'before' | 'after' }
  | { readonly kind: 'delay'; readonly milliseconds: number }
  /** The job ends in state 10 with this ErrorCode, without its effect or (`afterEffect`) with it. */
  | { readonly kind: 'fail-job'; readonly code: number; readonly afterEffect?: boolean }
  /** The job ends in state 32768, completed with warnings. */
  | { readonly kind: 'warn-job' }
  /** The job is gone as soon as it has ended. */
  | { readonly kind: 'vanish-job' }
  /** The job stays in state 4, its effect undone, until it is cancelled. */
  | { readonly kind: 'stick-job' }
  /** GetVirtualDiskChanges answers ProcessedByteLength 0. */
  | { readonly kind: 'no-progress' }
  /** GetVirtualDiskChanges answers 4096 and a job, without ranges. */
  | { readonly kind: 'answer-by-job' };

export interface FaultRule {
  /** Name of a method, or `Enumerate <class>`. */
  readonly method: string;
  readonly misbehaviour: Misbehaviour;
  /** How many calls suffer it; default 1. */
  readonly times?: number;
  /** How many calls are spared first; default 0. */
  readonly after?: number;
  /** A user, as `HV01\\somebody`, whose calls neither suffer it nor are counted. */
  readonly spares?: string;
}

export class Rehearsal {
  #rules: (FaultRule & { times: number; after: number })[] = [];

  add(rule: FaultRule): void {
    this.#rules.push({ ...rule, times: rule.times ?? 1, after: rule.after ?? 0 });
  }

  clear(): void {
    this.#rules = [];
  }

  /** What this call suffers; counts it. */
  take(method: string, user?: string): Misbehaviour[] {
    const due: Misbehaviour[] = [];
    for (const rule of this.#rules) {
      if (rule.method !== method || (user !== undefined && rule.spares === user)) continue;
      if (rule.after > 0) {
        rule.after -= 1;
      } else {
        rule.times -= 1;
        due.push(rule.misbehaviour);
      }
    }
    this.#rules = this.#rules.filter((rule) => rule.times > 0);
    return due;
  }
}

/** The first of `list` of one kind. */
export function ofKind<K extends Misbehaviour['kind']>(
  list: readonly Misbehaviour[],
  kind: K,
): Extract<Misbehaviour, { kind: K }> | undefined {
  return list.find((one): one is Extract<Misbehaviour, { kind: K }> => one.kind === kind);
}
