/** A clock that tests can turn. */
import { sleep } from './cancel.ts';

export interface Clock {
  /** Milliseconds that never go back, only for differences. */
  now(): number;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const realClock: Clock = { now: () => performance.now(), sleep };
