/** A client's connection as the server sees it: what arrives, what is sent and when there is room for more, TLS. */
import type { Socket } from 'node:net';
import { Inbox } from './inbox.ts';
import { secureServer, type NbdServerTls } from './tls.ts';

/**
 * Answers that may wait before the next request is read: those of 16 requests of 256 KiB. Half of it is sent while the other half
 * is read; were all of it sent first, as the 'drain' of a socket has it, one of the two would always wait.
 */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024;

export class Wire {
  inbox: Inbox;
  isSecure = false;
  #socket: Socket;
  #unsent = 0;
  #room: Promise<void> | undefined;
  #roomFound: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.inbox = new Inbox(socket);
    socket.on('error', () => undefined); // the inbox reports it
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  send(bytes: Uint8Array): void {
    this.sendOwned(bytes, () => undefined);
  }

  /** `sent`: the bytes are the sender's again, on their way or given up. */
  sendOwned(bytes: Uint8Array, sent: () => void): void {
    if (!this.isOpen) return sent();
    this.#unsent += bytes.length;
    this.#socket.write(bytes, () => {
      this.#unsent -= bytes.length;
      if (this.#unsent <= UNSENT_BYTES_MAX / 2) this.#roomFound?.();
      sent();
    });
  }

  /** Much of what was sent waits to leave. */
  get isFull(): boolean {
    return this.isOpen && this.#unsent > UNSENT_BYTES_MAX;
  }

  /** Resolves when at least half of it has left, or the connection has ended. */
  async room(): Promise<void> {
    if (!this.isFull) return;
    this.#room ??= this.#someSent().finally(() => {
      this.#room = undefined;
      this.#roomFound = undefined;
    });
    await this.#room;
  }

  #someSent(): Promise<void> {
    return new Promise((resolve) => {
      const socket = this.#socket;
      const done = (): void => {
        socket.off('close', done); // the inbox reports what broke
        resolve();
      };
      this.#roomFound = done;
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
