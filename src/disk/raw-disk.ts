/** A flat image as a `Disk`. Node cannot ask a file for its holes, so everything counts as allocated. */
import { intersect, type Extent } from '../extents/index.ts';
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

  allocated(within?: Extent): Extent[] {
    const whole = this.size > 0 ? [{ offset: 0, length: this.size }] : [];
    return within ? intersect(whole, [within]) : whole;
  }

  async located(within: Extent): Promise<LocatedRun[] | undefined> {
    const place = this.#reader.locate?.(within.offset, within.length);
    return place && [{ ...within, ...place }];
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
