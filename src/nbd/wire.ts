/** A client's connection as the server sees it: what arrives, what is sent and when there is room for more, TLS. */
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

  /** `sent`: the bytes are the sender's again, on their way or given up. */
  sendOwned(bytes: Uint8Array, sent: () => void): void {
    if (this.isOpen) this.#socket.write(bytes, () => sent());
    else sent();
  }

  /** What was sent waits to leave. */
  get isFull(): boolean {
    return this.isOpen && this.#socket.writableNeedDrain;
  }

  /** Resolves when what was sent has mostly left, or the connection has ended. */
  async room(): Promise<void> {
    if (!this.isFull) return;
    this.#room ??= this.#drained().finally(() => (this.#room = undefined));
    await this.#room;
  }

  #drained(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('drain', done);
        socket.off('close', done); // the inbox reports what broke
        resolve();
      };
      socket.on('drain', done);
      socket.on('close', done);
    });
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
