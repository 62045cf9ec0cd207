/** A clock that only moves when somebody sleeps on it: minutes of waiting take no time. */
import type { HyperVClock } from '../host.ts';

export class FakeClock implements HyperVClock {
  nowMs = 0;
  sleeps = 0;

  now(): number {
    return this.nowMs;
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.sleeps += 1;
    this.nowMs += milliseconds;
    await new Promise(setImmediate);
    signal?.throwIfAborted();
  }
}
