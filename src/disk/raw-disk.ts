/** A flat image as a `Disk`. Where its holes are not known, everything counts as allocated. */
import { endOf, type Extent } from '../extents/index.ts';
import type { CallOptions, Disk, LocatedRun, RangeReader } from './ports.ts';

export class RawDisk implements Disk {
  readonly logicalSectorSize: number;
  readonly #reader: RangeReader;

  constructor(reader: RangeReader, options: { logicalSectorSize?: number } = {}) {
    this.#reader = reader;
    this.logicalSectorSize = options.logicalSectorSize ?? 512;
  }

  get size(): number {
    return this.#reader.size;
  }

  read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#reader.read(offset, into, options);
  }

  *allocated(
    within: Extent = { offset: 0, length: this.size },
    options: CallOptions = {},
  ): Generator<Extent> {
    const end = Math.min(endOf(within), this.size);
    for (let at = within.offset; at < end;) {
      options.signal?.throwIfAborted();
      const data = this.#dataFrom(at, end);
      if (!data || data.offset >= end) return;
      at = Math.min(endOf(data), end);
      yield { offset: data.offset, length: at - data.offset };
    }
  }

  #dataFrom(at: number, end: number): Extent | undefined {
    return this.#reader.nextData ? this.#reader.nextData(at) : { offset: at, length: end - at };
  }

  async located(within: Extent): Promise<LocatedRun[] | undefined> {
    const place = this.#reader.locate?.(within.offset, within.length);
    return place && [{ ...within, ...place }];
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
