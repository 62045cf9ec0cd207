/**
 * The power of a VM whose guest is a program: started, paused, asked to shut down, turned off; and noticed when it goes off by itself.
 */
import { Mutex, unlessAborted, withTimeout } from '../../src/base/index.ts';
import { LabFailure } from './failure.ts';
import type { Power } from './host-state.ts';
import type { LiveGuest } from './live-guest.ts';
import { RETURN } from './return-codes.ts';

/** A guest that was asked to shut down and has not done so by then will not. */
const SHUTDOWN_MS = 60_000;

export class GuestProgram {
  readonly #start: () => Promise<LiveGuest>;
  readonly #wentOff: () => Promise<void>;
  readonly #lock = new Mutex();
  #live: { readonly guest: LiveGuest; readonly gone: Promise<void> } | undefined;

  /** `wentOff` is called each time it is off, except by {@link abandon}. */
  constructor(start: () => Promise<LiveGuest>, wentOff: () => Promise<void>) {
    this.#start = start;
    this.#wentOff = wentOff;
  }

  get answers(): boolean {
    return this.#live?.guest.answers ?? false;
  }

  /** `flushed`: an "off" is a shutdown by the guest, not its cable pulled. */
  change(from: Power, to: Power, { flushed }: { flushed: boolean }): Promise<void> {
    return this.#lock.run(async () => {
      if (to === 'saved') throw new LabFailure(RETURN.notSupported, 'a guest that is real cannot be saved');
      if (to === 'off') return this.#off(flushed);
      if (to === 'paused') return this.#running().pause();
      if (!this.#live) return this.#run();
      if (from === 'paused') this.#live.guest.resume();
      else this.#live.guest.reset();
    });
  }

  /** What the shutdown service does. The guest is off when it is off. */
  shutDown(): void {
    this.#running().pressPowerButton();
  }

  /** Returns what lets it go on. */
  async freeze(limitMs: number): Promise<() => Promise<void>> {
    const guest = this.#running();
    await guest.freeze(limitMs).catch((error: unknown) => {
      throw new LabFailure(RETURN.failed, `VSS in the guest: ${(error as Error).message} (0x80004005)`);
    });
    return () => guest.thaw(limitMs);
  }

  /** It ends here and now, while the VM stays as it is: the host goes, and starts the VM again when it is back. */
  async abandon(): Promise<void> {
    const live = this.#live;
    this.#live = undefined;
    await live?.guest.turnOff();
  }

  #running(): LiveGuest {
    if (!this.#live) throw new LabFailure(RETURN.invalidState, 'the guest does not run');
    return this.#live.guest;
  }

  async #run(): Promise<void> {
    const guest = await this.#start().catch((error: unknown) => {
      throw new LabFailure(RETURN.failed, (error as Error).message);
    });
    const gone = guest.off.then(async () => {
      if (this.#live?.guest !== guest) return;
      this.#live = undefined;
      await this.#wentOff();
    });
    this.#live = { guest, gone };
  }

  async #off(flushed: boolean): Promise<void> {
    const live = this.#live;
    if (!live) return;
    if (flushed) await this.#shutDownNow(live);
    else await live.guest.turnOff();
    await live.gone;
  }

  async #shutDownNow({ guest, gone }: { guest: LiveGuest; gone: Promise<void> }): Promise<void> {
    guest.pressPowerButton();
    using limit = withTimeout(SHUTDOWN_MS, 'the shutdown of a guest');
    await unlessAborted(gone, limit.signal).catch((error: unknown) => {
      throw new LabFailure(RETURN.timeout, (error as Error).message);
    });
  }
}
