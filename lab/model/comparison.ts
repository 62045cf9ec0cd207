/** A disk's truth beside an image of it, byte by byte. */
import { KiB, MiB } from '../../src/base/index.ts';
import type { RangeReader } from '../../src/disk/index.ts';
import type { JudgedImage } from './judged-image.ts';

const STEP = 4 * MiB;
/** Where both sides have data they are read in parts of this size, so that holes beside small writes are told apart. */
const PART = 256 * KiB;

export interface Truth extends RangeReader {
  /** True when the range is known to be zeros without reading it. */
  isHole(offset: number, length: number): boolean;
}

export class Comparison {
  readonly #truth: Truth;
  readonly #image: RangeReader & Partial<JudgedImage>;
  readonly #left: Buffer;
  readonly #right: Buffer;

  constructor(truth: Truth, image: RangeReader & Partial<JudgedImage>) {
    this.#truth = truth;
    this.#image = image;
    const length = Math.min(STEP, truth.size);
    this.#left = Buffer.allocUnsafe(length);
    this.#right = Buffer.allocUnsafe(length);
  }

  /** The first offset at which the image differs, or `undefined`. A missing or surplus tail differs at its first byte. */
  async firstDifference(): Promise<number | undefined> {
    const common = Math.min(this.#truth.size, this.#image.size);
    for (let at = 0; at < common; at += STEP) {
      const difference = await this.#within(at, Math.min(STEP, common - at));
      if (difference !== undefined) return difference;
    }
    return this.#truth.size === this.#image.size ? undefined : common;
  }

  /** Where the truth is zeros, the image may find out in its own way whether it is too. */
  async #within(offset: number, length: number): Promise<number | undefined> {
    const isHole = this.#truth.isHole(offset, length);
    if (isHole && (await this.#image.isZero?.(offset, length))) return undefined;
    if (isHole || length <= PART) return this.#firstOf(offset, length);
    for (let at = offset; at < offset + length; at += PART) {
      const difference = await this.#within(at, Math.min(PART, offset + length - at));
      if (difference !== undefined) return difference;
    }
    return undefined;
  }

  async #firstOf(offset: number, length: number): Promise<number | undefined> {
    const left = this.#left.subarray(0, length);
    const right = this.#right.subarray(0, length);
    await Promise.all([this.#truth.read(offset, left), this.#image.read(offset, right)]);
    if (left.equals(right)) return undefined;
    return offset + left.findIndex((byte, index) => byte !== right[index]);
  }
}
