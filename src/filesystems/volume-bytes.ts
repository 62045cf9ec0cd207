/** The bytes of one volume: every place in it comes from the guest, so each is checked before it is read. */
import type { Struct } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import { damaged } from './faults.ts';

/** More than any structure is asked for at once: a length from the guest must not become an allocation. */
const READ_BYTES_MAX = 1024 * 1024;

export class VolumeBytes {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  readonly #disk: RangeReader;
  readonly #offset: number;
  readonly #options: CallOptions;

  constructor(disk: RangeReader, place: Extent, name: string, options: CallOptions = {}) {
    this.#disk = disk;
    this.#offset = place.offset;
    this.size = Math.max(0, Math.min(place.length, disk.size - place.offset));
    this.name = name;
    this.#options = options;
  }

  /** Throws `FILESYSTEM_DAMAGED` outside the volume. */
  async read(offset: number, length: number): Promise<Buffer> {
    const inside = Number.isSafeInteger(offset) && offset >= 0 && offset + length <= this.size;
    this.check(inside && length <= READ_BYTES_MAX, `it points to byte ${offset}, outside of the volume`);
    const bytes = Buffer.alloc(length);
    await this.#disk.read(this.#offset + offset, bytes, this.#options);
    return bytes;
  }

  parse<T>(layout: Struct<T>, bytes: Uint8Array, at = 0): ReturnType<Struct<T>['read']> {
    this.check(at >= 0 && at + layout.size <= bytes.length, `its ${layout.name} is cut short`);
    try {
      return layout.read(bytes, at);
    } catch (error) {
      if (error instanceof RangeError)
        throw damaged(this.name, `a number of its ${layout.name} is too large`);
      throw error;
    }
  }

  check(condition: boolean, reason: string): asserts condition {
    if (!condition) throw damaged(this.name, reason);
  }
}
