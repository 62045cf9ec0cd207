/**
 * A growing set of byte ranges: sorted, disjoint, touching ranges merged. Mutable, because a guest adds thousands of
 * writes a second; `src/extents` makes a new array for each union.
 */
import type { Extent } from '../../src/extents/index.ts';

export class IntervalSet {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** Number of disjoint ranges: what the memory of the set is proportional to. */
  get count(): number {
    return this.#starts.length;
  }

  /** Adds `[start, end)`. */
  add(start: number, end: number): void {
    if (start >= end) return;
    const first = firstAtLeast(this.#ends, start);
    const after = firstAtLeast(this.#starts, end + 1);
    if (first < after) {
      start = Math.min(start, this.#starts[first]!);
      end = Math.max(end, this.#ends[after - 1]!);
    }
    this.#starts.splice(first, after - first, start);
    this.#ends.splice(first, after - first, end);
  }

  addAll(other: IntervalSet): void {
    for (const { offset, length } of other.within(0, Number.MAX_SAFE_INTEGER))
      this.add(offset, offset + length);
  }

  /** The parts of the set inside `[start, end)`, in ascending order. */
  *within(start: number, end: number): Generator<Extent> {
    for (let i = firstAtLeast(this.#ends, start + 1); i < this.#starts.length; i += 1) {
      const from = Math.max(start, this.#starts[i]!);
      const to = Math.min(end, this.#ends[i]!);
      if (from >= to) return;
      yield { offset: from, length: to - from };
    }
  }

  /** The same set grown outward to multiples of `grid`: more bytes, fewer ranges. */
  coarsened(grid: number): IntervalSet {
    const coarse = new IntervalSet();
    for (const { offset, length } of this.within(0, Number.MAX_SAFE_INTEGER)) {
      coarse.add(Math.floor(offset / grid) * grid, Math.ceil((offset + length) / grid) * grid);
    }
    return coarse;
  }

  /** Start and end of each range, flat. */
  toJSON(): number[] {
    return this.#starts.flatMap((start, index) => [start, this.#ends[index]!]);
  }

  static fromJSON(flat: readonly number[]): IntervalSet {
    const set = new IntervalSet();
    for (let i = 0; i + 1 < flat.length; i += 2) set.add(flat[i]!, flat[i + 1]!);
    return set;
  }
}

/** Index of the first element of the ascending `values` that is at least `wanted`. */
function firstAtLeast(values: readonly number[], wanted: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
