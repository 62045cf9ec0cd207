/**
 * Open enumerations. Each Pull answers with a fresh context and the old one is void (recorded); a context nobody uses
 * is forgotten after EnumerationTimeoutms, and a user may hold only so many.
 */
import { randomUUID } from 'node:crypto';
import { SoapFault } from './soap-fault.ts';
import type { WireTraits } from './traits.ts';

export interface Enumeration {
  readonly user: string;
  /** The items left, as XML, made when they are asked for. */
  readonly items: readonly (() => string)[];
  readonly at: number;
}

export class Enumerations {
  readonly #traits: WireTraits;
  readonly #open = new Map<string, { enumeration: Enumeration; timer: NodeJS.Timeout }>();

  constructor(traits: WireTraits) {
    this.#traits = traits;
  }

  /** Keeps what is left under a new context. */
  keep(enumeration: Enumeration): string {
    const mine = [...this.#open.values()].filter((one) => one.enumeration.user === enumeration.user);
    if (mine.length >= this.#traits.enumerationsPerUserMax) throw new SoapFault('quota');
    const context = `uuid:${randomUUID().toUpperCase()}`;
    const timer = setTimeout(() => this.#open.delete(context), this.#traits.enumerationTimeoutMs);
    timer.unref();
    this.#open.set(context, { enumeration, timer });
    return context;
  }

  /** What is left under a context, which is void from now on. */
  take(context: string, user: string): Enumeration {
    const found = this.#open.get(context);
    if (!found || found.enumeration.user !== user) throw new SoapFault('invalidContext');
    clearTimeout(found.timer);
    this.#open.delete(context);
    return found.enumeration;
  }

  close(): void {
    for (const { timer } of this.#open.values()) clearTimeout(timer);
    this.#open.clear();
  }
}
