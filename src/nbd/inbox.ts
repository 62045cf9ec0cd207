/**
 * The bytes that arrive on a socket, taken in the amounts the protocol says.
 *
 * One taker at a time. What nobody has taken yet is bounded: the socket is stopped while more than a megabyte waits.
 * Payload goes straight to where it is wanted, chunk by chunk.
 */
import type { Duplex } from 'node:stream';

const WAITING_BYTES_MAX = 1024 * 1024;

interface Taker {
  readonly into: Uint8Array;
  filled: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Inbox {
  readonly #socket: Duplex;
  readonly #chunks: Buffer[] = [];
  /** Bytes of the first chunk that were taken. */
  #used = 0;
  #waiting = 0;
  #taker: Taker | undefined;
  #end: Error | undefined;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('data', this.#onData);
    socket.once('error', this.#onError);
    socket.once('close', this.#onClose);
  }

  /** The next `length` bytes. Rejects when the stream ends before. */
  async take(length: number): Promise<Buffer> {
    const into = Buffer.allocUnsafe(length);
    await this.fill(into);
    return into;
  }

  /** The next `length` bytes where they have come in one piece; valid until anything else is taken. Nothing is taken else. */
  takeReady(length: number): Buffer | undefined {
    const chunk = this.#chunks[0];
    if (!chunk || chunk.length - this.#used < length) return undefined;
    const bytes = chunk.subarray(this.#used, this.#used + length);
    this.#took(length);
    return bytes;
  }

  fill(into: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#taker = { into, filled: 0, resolve, reject };
      this.#serve();
    });
  }

  /** Takes `length` bytes that nobody wants. */
  async skip(length: number): Promise<void> {
    const scratch = Buffer.allocUnsafe(Math.min(length, 65_536));
    for (let left = length; left > 0; left -= scratch.length) {
      await this.fill(scratch.subarray(0, Math.min(left, scratch.length)));
    }
  }

  /** Lets go of the socket, for TLS to take it over. False when bytes were left, which nobody would have protected. */
  release(): boolean {
    this.#socket.off('data', this.#onData);
    this.#socket.off('error', this.#onError);
    this.#socket.off('close', this.#onClose);
    this.#socket.pause();
    return this.#waiting === 0;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    this.#serve();
    if (this.#waiting > WAITING_BYTES_MAX) this.#socket.pause();
  };

  readonly #onError = (error: Error): void => this.#fail(error);

  readonly #onClose = (): void => this.#fail(new Error('it was closed'));

  #fail(error: Error): void {
    this.#end ??= error;
    this.#serve();
  }

  #serve(): void {
    const taker = this.#taker;
    if (!taker) return;
    while (taker.filled < taker.into.length && this.#chunks.length > 0) this.#move(taker);
    if (taker.filled === taker.into.length) {
      this.#taker = undefined;
      taker.resolve();
    } else if (this.#end) {
      this.#taker = undefined;
      taker.reject(this.#end);
    } else if (this.#socket.isPaused()) {
      this.#socket.resume();
    }
  }

  #move(taker: Taker): void {
    const chunk = this.#chunks[0]!;
    const count = Math.min(chunk.length - this.#used, taker.into.length - taker.filled);
    taker.into.set(chunk.subarray(this.#used, this.#used + count), taker.filled);
    taker.filled += count;
    this.#took(count);
  }

  /** Of the first chunk. */
  #took(count: number): void {
    this.#waiting -= count;
    this.#used += count;
    if (this.#used < this.#chunks[0]!.length) return;
    this.#chunks.shift();
    this.#used = 0;
  }
}
