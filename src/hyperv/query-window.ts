/**
 * How much of a disk to ask about at once. One answer must fit the host's envelope (some 1,400 ranges in 150 KiB, 4,700 in
 * 500 KiB) and its time limit, and nobody knows in advance how many ranges there are: so start with half the disk, halve
 * when an answer does not fit, and double again after some that did.
 */
import { KiB, MiB } from '../base/index.ts';

/** Below this even a change of every other sector fits the smallest envelope in use. */
const WINDOW_MIN = 64 * KiB;
/** Four answers that fit before a larger one is tried: at worst every fifth question is asked in vain. */
const FITS_BEFORE_GROWTH = 4;

export class QueryWindow {
  readonly #max: number;
  #bytes: number;
  #fits = 0;

  /** Half the disk at most: documentation demands less than the whole disk for one question. */
  constructor(size: number) {
    this.#max = Math.max(WINDOW_MIN, Math.ceil(size / 2 / MiB) * MiB);
    this.#bytes = this.#max;
  }

  get bytes(): number {
    return this.#bytes;
  }

  fitted(): void {
    this.#fits += 1;
    if (this.#fits < FITS_BEFORE_GROWTH) return;
    this.#bytes = Math.min(this.#max, this.#bytes * 2);
    this.#fits = 0;
  }

  /** False when there is nothing smaller to ask for. */
  halve(): boolean {
    if (this.#bytes <= WINDOW_MIN) return false;
    this.#bytes = Math.max(WINDOW_MIN, Math.floor(this.#bytes / 2 / KiB) * KiB);
    this.#fits = 0;
    return true;
  }
}
