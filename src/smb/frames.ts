/** Messages in a stream of bytes: each follows a zero byte and its length in three bytes, big-endian. MS-SMB2 2.1. */
import { Malformed } from './message.ts';

const PREFIX_BYTES = 4;
/** 3.2.5.1: the shortest message is a bare header. */
const FRAME_BYTES_MIN = 64;

export class FrameReader {
  readonly #onFrame: (frame: Uint8Array) => void;
  /** A larger frame is refused before a byte of it is stored. Raised once the size of reads is agreed on. */
  frameBytesMax: number;
  /** A frame that came in pieces; kept for the next such one, because each is used up before the next begins. */
  #frame: Uint8Array = Buffer.alloc(0);
  #prefix = new Uint8Array(PREFIX_BYTES);
  #prefixFilled = 0;
  #filled = 0;
  #length = 0;

  /** `onFrame` must be done with its bytes when it returns. */
  constructor(frameBytesMax: number, onFrame: (frame: Uint8Array) => void) {
    this.frameBytesMax = frameBytesMax;
    this.#onFrame = onFrame;
  }

  /** Throws `Malformed`, and whatever `onFrame` throws. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      at += this.#prefixFilled < PREFIX_BYTES ? this.#takePrefix(bytes, at) : this.#takeBody(bytes, at);
    }
  }

  #takePrefix(bytes: Uint8Array, at: number): number {
    const taken = Math.min(PREFIX_BYTES - this.#prefixFilled, bytes.length - at);
    this.#prefix.set(bytes.subarray(at, at + taken), this.#prefixFilled);
    this.#prefixFilled += taken;
    if (this.#prefixFilled === PREFIX_BYTES) this.#begin();
    return taken;
  }

  #begin(): void {
    const [zero, high, middle, low] = this.#prefix as unknown as [number, number, number, number];
    this.#length = (high << 16) | (middle << 8) | low;
    this.#filled = 0;
    if (zero !== 0) throw new Malformed('it does not speak SMB over TCP');
    if (this.#length < FRAME_BYTES_MIN || this.#length > this.frameBytesMax) {
      throw new Malformed(`a message of ${this.#length} bytes`);
    }
  }

  #takeBody(bytes: Uint8Array, at: number): number {
    const taken = Math.min(this.#length - this.#filled, bytes.length - at);
    const piece = bytes.subarray(at, at + taken);
    if (taken === this.#length) return this.#finish(piece);
    if (this.#frame.length < this.#length) this.#frame = Buffer.allocUnsafe(this.frameBytesMax);
    this.#frame.set(piece, this.#filled);
    this.#filled += taken;
    if (this.#filled === this.#length) this.#finish(this.#frame.subarray(0, this.#length));
    return taken;
  }

  #finish(frame: Uint8Array): number {
    this.#prefixFilled = 0;
    this.#onFrame(frame);
    return frame.length;
  }
}
