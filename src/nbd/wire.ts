/** A client's connection as the server sees it: what arrives, what is sent and when there is room for more, TLS. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Inbox } from './inbox.ts';
import { secureServer, type NbdServerTls } from './tls.ts';

export class Wire {
  inbox: Inbox;
  isSecure = false;
  #socket: Socket;
  #room: Promise<void> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.inbox = new Inbox(socket);
    socket.on('error', () => undefined); // the inbox reports it
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  send(...parts: readonly Uint8Array[]): void {
    if (!this.isOpen) return;
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** Resolves when what was sent has mostly left, or the connection has ended. */
  async room(): Promise<void> {
    if (!this.isOpen || !this.#socket.writableNeedDrain) return;
    this.#room ??= this.#drained().finally(() => (this.#room = undefined));
    await this.#room;
  }

  async #drained(): Promise<void> {
    const ended = new AbortController();
    const drained = once(this.#socket, 'drain', { signal: ended.signal });
    const closed = once(this.#socket, 'close', { signal: ended.signal });
    await Promise.race([drained, closed]).catch(() => undefined); // the inbox reports what broke
    ended.abort();
    await Promise.allSettled([drained, closed]);
  }

  async secure(tls: NbdServerTls): Promise<void> {
    if (!this.inbox.release()) throw new Error('bytes came before TLS began');
    this.#socket = await secureServer(this.#socket, tls);
    this.#socket.on('error', () => undefined);
    this.inbox = new Inbox(this.#socket);
    this.isSecure = true;
  }

  /** Sends what is left, then closes. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
