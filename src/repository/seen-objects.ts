/** Which objects were met already: one bit an index entry, so that 64 TiB of chunks cost 8 MiB. */
import type { Location } from './object-index.ts';
import type { Segment } from './segment.ts';

export class SeenObjects {
  readonly #bits = new Map<Segment, Uint8Array>();

  /** True the first time. */
  add({ segment, ordinal }: Location): boolean {
    let bits = this.#bits.get(segment);
    if (!bits) this.#bits.set(segment, (bits = new Uint8Array(Math.ceil(segment.entryCount / 8))));
    const seen = (bits[ordinal >>> 3]! >>> (ordinal & 7)) & 1;
    bits[ordinal >>> 3]! |= 1 << (ordinal & 7);
    return !seen;
  }

  has({ segment, ordinal }: Location): boolean {
    const bits = this.#bits.get(segment);
    return bits !== undefined && ((bits[ordinal >>> 3]! >>> (ordinal & 7)) & 1) === 1;
  }
}
