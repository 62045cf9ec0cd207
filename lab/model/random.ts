/** Seeded randomness: the same seed gives the same guest, the same answers, the same failure. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed >>> 0) ^ 0x9e3779b9;
  }

  /** 32 bits (mulberry32 mixing). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A whole number in `[0, limit)`; `limit` below 2^53. */
  below(limit: number): number {
    return Math.floor(((this.next() * 0x200000 + (this.next() >>> 11)) / 2 ** 53) * limit);
  }

  /** True with probability `share`. */
  chance(share: number): boolean {
    return this.next() / 2 ** 32 < share;
  }

  bytes(length: number): Uint8Array {
    const words = new Uint32Array(Math.ceil(length / 4));
    for (let i = 0; i < words.length; i += 1) words[i] = this.next();
    return new Uint8Array(words.buffer, 0, length);
  }

  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}
