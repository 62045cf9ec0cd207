/** Messages in a stream of bytes: each follows a zero byte and its length in three bytes, big-endian. MS-SMB2 2.1. */
import { Malformed } from './message.ts';

const PREFIX_BYTES = 4;
/** 3.2.5.1: the shortest message is a bare header. */
const FRAME_BYTES_MIN = 64;

/** What becomes of a frame while it arrives. What it throws goes to whoever pushed. */
export interface FrameSink {
  begin(length: number): void;
  /** The next bytes of the frame, which are to be used up before this returns. */
  take(piece: Uint8Array): void;
  /** All of it was taken. */
  end(): void;
}

export class FrameReader {
  /** Exchanged between two frames. */
  sink: FrameSink;
  /** A larger frame is refused before a byte of it is stored. Raised once the size of reads is agreed on. */
  frameBytesMax: number;
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #prefixFilled = 0;
  #left = 0;

  constructor(frameBytesMax: number, sink: FrameSink) {
    this.frameBytesMax = frameBytesMax;
    this.sink = sink;
  }

  /** Throws `Malformed`, and whatever the sink throws. */
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
    this.#left = (high << 16) | (middle << 8) | low;
    if (zero !== 0) throw new Malformed('it does not speak SMB over TCP');
    if (this.#left < FRAME_BYTES_MIN || this.#left > this.frameBytesMax) {
      throw new Malformed(`a message of ${this.#left} bytes`);
    }
    this.sink.begin(this.#left);
  }

  #takeBody(bytes: Uint8Array, at: number): number {
    const taken = Math.min(this.#left, bytes.length - at);
    this.#left -= taken;
    this.sink.take(bytes.subarray(at, at + taken));
    if (this.#left > 0) return taken;
    this.#prefixFilled = 0;
    this.sink.end();
    return taken;
  }
}

/** Frames put together, each in memory of its own. */
export class WholeFrames implements FrameSink {
  readonly #onFrame: (frame: Uint8Array) => void;
  #frame = new Uint8Array(0);
  #filled = 0;

  constructor(onFrame: (frame: Uint8Array) => void) {
    this.#onFrame = onFrame;
  }

  begin(length: number): void {
    this.#frame = new Uint8Array(length);
    this.#filled = 0;
  }

  take(piece: Uint8Array): void {
    this.#frame.set(piece, this.#filled);
    this.#filled += piece.length;
  }

  end(): void {
    this.#onFrame(this.#frame);
  }
}
