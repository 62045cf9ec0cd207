/** The first bytes of an export, as many as the disk has: volumes come in steps of their own. */
import { checkRange, type CallOptions } from '../disk/index.ts';
import type { Extent, ExtentStream } from '../extents/index.ts';
import type { NbdDisk } from '../nbd/index.ts';
import type { TargetDisk, TargetDiskSpec } from './port.ts';

export class NbdTargetDisk implements TargetDisk {
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly isNew: boolean;
  readonly #disk: NbdDisk;

  constructor(disk: NbdDisk, { size, logicalSectorSize }: TargetDiskSpec, isNew: boolean) {
    this.#disk = disk;
    this.size = size;
    this.logicalSectorSize = logicalSectorSize;
    this.isNew = isNew;
  }

  async read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void> {
    checkRange(offset, into.length, this.size);
    await this.#disk.read(offset, into, options);
  }

  allocated(within: Extent = { offset: 0, length: this.size }, options?: CallOptions): ExtentStream {
    checkRange(within.offset, within.length, this.size);
    return this.#disk.allocated(within, options);
  }

  async write(offset: number, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    checkRange(offset, bytes.length, this.size);
    await this.#disk.write(offset, bytes, options);
  }

  async zero(offset: number, length: number, options?: CallOptions): Promise<void> {
    checkRange(offset, length, this.size);
    await this.#disk.zero(offset, length, options);
  }

  flush(options?: CallOptions): Promise<void> {
    return this.#disk.flush(options);
  }

  /** The export has its size from its server. */
  async settleSize(): Promise<void> {}

  close(): Promise<void> {
    return this.#disk.close();
  }
}
