/** A place for one session: made when it is needed, made again when it broke, never twice at the same time. */
import type { SessionSource } from './lane.ts';
import type { SmbSession } from './session.ts';

export class SessionSlot implements SessionSource {
  readonly host: string;
  readonly #connect: () => Promise<SmbSession>;
  #session: SmbSession | undefined;
  #connecting: Promise<SmbSession> | undefined;

  constructor(host: string, connect: () => Promise<SmbSession>) {
    this.host = host;
    this.#connect = connect;
  }

  session(): Promise<SmbSession> {
    if (this.#session?.usable) return Promise.resolve(this.#session);
    this.#connecting ??= this.#open().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  async logOff(): Promise<void> {
    await this.#session?.logOff();
  }

  async #open(): Promise<SmbSession> {
    this.#session = await this.#connect();
    return this.#session;
  }
}
