/** What every part of this module works with: the session to one host, and a clock that tests can drive. */
import { sleep } from '../base/index.ts';
import type { CimSession } from '../winrm/index.ts';

export interface HyperVClock {
  /** Milliseconds, only for differences. */
  now(): number;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export interface Host {
  readonly session: CimSession;
  readonly clock: HyperVClock;
  /** The first pause between two looks at a job or a state; it grows from there. */
  readonly pollMs: number;
}

export const systemClock: HyperVClock = { now: () => performance.now(), sleep };

// A job of a small VM ends within 300 ms, a merge takes hours: short pauses first, then at most one question every 2 s.
const PAUSE_MS_MAX = 2000;

/** Pauses that grow by half each, without end: the caller brings the limit. */
export function* growingPauses(firstMs: number): Generator<number, never> {
  for (let pause = firstMs; ; pause = Math.min(pause * 1.5, PAUSE_MS_MAX)) yield pause;
}

/** Key of a singleton service: the class alone suffices, but without any key the host refuses. */
export const serviceKeys = (cls: { readonly name: string }): { CreationClassName: string } => ({
  CreationClassName: cls.name,
});
