/**
 * Encrypted messages, opened while they arrive.
 *
 *   frame     TRANSFORM_HEADER │ start: header and fixed part of a READ answer │ rest
 *   taken to  #head            │ #start                                        │ the place of its request, or #message
 *
 * The data of a READ goes from the buffer of the socket through the cipher to where it is wanted, in steps that stay in the
 * processor's cache. Put together first, each byte was copied once more, and this code took a quarter longer. The start is believed too
 * early, of need: a man in the middle can make data land at the place of any request under way. None of them gets an answer
 * then, because the box turns out not to be genuine and the connection ends.
 */
import { free, KiB } from '../base/index.ts';
import type { FrameSink } from './frames.ts';
import { ENCRYPTED_MESSAGE, transformHeader } from './format.ts';
import type { Landing } from './landing.ts';
import { HEADER_BYTES } from './message.ts';
import { READ_START_BYTES } from './read.ts';
import type { Opening, Sealing } from './transform.ts';

/** Opened at once. Measured: 1 MiB is no longer in the cache when it is copied, and costs an eighth more. */
const STEP_BYTES = 256 * KiB;

export interface MessageOwner {
  /** Where the `behind` bytes that follow `start` are wanted, if anywhere. Nothing is verified yet. */
  landingFor(start: Uint8Array, behind: number): Landing | undefined;
  /** A genuine message; with `landedBytes` it ends before what has landed. */
  receive(message: Uint8Array, landedBytes?: number): void;
  /** What a message in clear text is, by the first bytes of it. */
  clearText(head: Uint8Array): Error;
  /** What a box is that the server did not seal. */
  tampered(): Error;
}

export class SealedFrames implements FrameSink {
  readonly #sealing: Sealing;
  readonly #owner: MessageOwner;
  readonly #head = new Uint8Array(transformHeader.size);
  #headFilled = 0;
  #opening: Opening | undefined;
  #sealedBytes = 0;
  #start = new Uint8Array(0);
  /** Of all that was sealed. */
  #opened = 0;
  #landing: Landing | undefined;
  /** Start and rest, when the rest has no place of its own. */
  #message: Uint8Array | undefined;

  constructor(sealing: Sealing, owner: MessageOwner) {
    this.#sealing = sealing;
    this.#owner = owner;
  }

  begin(length: number): void {
    this.#headFilled = 0;
    this.#sealedBytes = length - this.#head.length;
    this.#opened = 0;
    this.#landing = undefined;
    this.#message = undefined;
  }

  take(piece: Uint8Array): void {
    let at = this.#takeHead(piece);
    for (; at < piece.length; at += STEP_BYTES) {
      const opened = this.#opening!.update(piece.subarray(at, at + STEP_BYTES));
      this.#place(opened);
      // At once, not when the collector gets to it: a GiB would start it forty times, for a fifth of all time.
      free(opened);
    }
  }

  end(): void {
    if (!this.#opening!.isGenuine()) throw this.#owner.tampered();
    if (this.#message) this.#owner.receive(this.#message);
    else this.#owner.receive(this.#start, this.#sealedBytes - this.#start.length);
  }

  /** Returns how much of the piece belonged to the head. */
  #takeHead(piece: Uint8Array): number {
    const taken = Math.min(this.#head.length - this.#headFilled, piece.length);
    if (taken === 0) return 0;
    this.#head.set(piece.subarray(0, taken), this.#headFilled);
    this.#headFilled += taken;
    if (this.#headFilled === this.#head.length) this.#beginOpening();
    return taken;
  }

  #beginOpening(): void {
    if (transformHeader.read(this.#head).protocolId !== ENCRYPTED_MESSAGE)
      throw this.#owner.clearText(this.#head);
    this.#opening = this.#sealing.opening(this.#head, this.#sealedBytes);
    if (!this.#opening || this.#sealedBytes < HEADER_BYTES) throw this.#owner.tampered();
    this.#start = new Uint8Array(Math.min(READ_START_BYTES, this.#sealedBytes));
  }

  #place(opened: Uint8Array): void {
    const toStart = Math.min(Math.max(0, this.#start.length - this.#opened), opened.length);
    if (toStart > 0) {
      this.#start.set(opened.subarray(0, toStart), this.#opened);
      if (this.#opened + toStart === this.#start.length) this.#decide();
    }
    const rest = opened.subarray(toStart);
    const at = this.#opened + toStart;
    this.#opened += opened.length;
    if (this.#landing) this.#landing.set(rest, at - this.#start.length);
    else this.#message?.set(rest, at);
  }

  #decide(): void {
    this.#landing = this.#owner.landingFor(this.#start, this.#sealedBytes - this.#start.length);
    if (this.#landing) return;
    this.#message = new Uint8Array(this.#sealedBytes);
    this.#message.set(this.#start);
  }
}
