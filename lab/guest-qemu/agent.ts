/** The service in a guest that freezes its file systems: qemu-guest-agent, or what answers as it does. */
import type { Duplex } from 'node:stream';
import { MessageLine } from './message-line.ts';

export class GuestAgent {
  readonly #line: MessageLine;
  /** Somebody in the guest has opened its port. */
  isThere = false;

  constructor(stream: Duplex) {
    this.#line = new MessageLine(stream);
  }

  /** Throws when the guest does not say in time that it is frozen; it is then told to go on, in case it is later. */
  async freeze(limitMs: number): Promise<void> {
    try {
      await this.#line.order('guest-fsfreeze-freeze', limitMs);
    } catch (error) {
      this.thaw(limitMs).catch(() => {});
      throw error;
    }
  }

  thaw(limitMs: number): Promise<void> {
    return this.#line.order('guest-fsfreeze-thaw', limitMs);
  }
}
