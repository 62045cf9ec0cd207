/** Buffers that threads share with the main thread: made when there is work for them, used again, never more than allowed. */
import { assert } from '../base/index.ts';

export class SharedBuffers {
  readonly #bytes: number;
  readonly #countMax: number;
  readonly #free: SharedArrayBuffer[] = [];
  #count = 0;

  /** `bytes` of each. Who takes sees to it that no more than `countMax` are out at once. */
  constructor(bytes: number, countMax: number) {
    this.#bytes = bytes;
    this.#countMax = countMax;
  }

  /** Bytes of all buffers made so far. */
  get totalBytes(): number {
    return this.#count * this.#bytes;
  }

  take(): SharedArrayBuffer {
    const used = this.#free.pop();
    if (used) return used;
    this.#count += 1;
    assert(this.#count <= this.#countMax, `at most ${this.#countMax} buffers are out at once`);
    return new SharedArrayBuffer(this.#bytes);
  }

  give(buffer: SharedArrayBuffer): void {
    this.#free.push(buffer);
  }
}
