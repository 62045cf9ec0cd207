/** Layers over any reader: one counts what is asked, one fails on demand. Same shape in, same shape out. */
import type { Extent, ExtentStream } from '../extents/index.ts';
import type { CallOptions, Disk, RangeReader } from './ports.ts';

export interface ReadStats {
  reads: number;
  readBytes: number;
}

class ReaderLayer implements RangeReader {
  protected readonly inner: RangeReader;

  constructor(inner: RangeReader) {
    this.inner = inner;
  }

  get size(): number {
    return this.inner.size;
  }

  read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void> {
    return this.inner.read(offset, into, options);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

/** Counts reads and bytes into `stats`. */
export class CountingReader extends ReaderLayer {
  readonly stats: ReadStats;

  constructor(inner: RangeReader, stats: ReadStats = { reads: 0, readBytes: 0 }) {
    super(inner);
    this.stats = stats;
  }

  override read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void> {
    this.stats.reads += 1;
    this.stats.readBytes += into.length;
    return this.inner.read(offset, into, options);
  }
}

/** Counts reads of a disk; `allocated` passes through. */
export class CountingDisk extends CountingReader implements Disk {
  readonly #disk: Disk;

  constructor(inner: Disk, stats?: ReadStats) {
    super(inner, stats);
    this.#disk = inner;
  }

  get logicalSectorSize(): number {
    return this.#disk.logicalSectorSize;
  }

  allocated(within?: Extent, options?: CallOptions): ExtentStream {
    return this.#disk.allocated(within, options);
  }
}

/** Calls `before` ahead of every read; what it throws is what the read throws. */
export class FaultyReader extends ReaderLayer {
  readonly #before: (offset: number, length: number) => void | Promise<void>;

  constructor(inner: RangeReader, before: (offset: number, length: number) => void | Promise<void>) {
    super(inner);
    this.#before = before;
  }

  override async read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void> {
    await this.#before(offset, into.length);
    await this.inner.read(offset, into, options);
  }
}
