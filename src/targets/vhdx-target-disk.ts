/** A VHDX file that is written in place. Its size is that of the disk, or it would not have been opened. */
import type { CallOptions } from '../disk/index.ts';
import type { Extent, ExtentStream } from '../extents/index.ts';
import type { VhdxFile } from '../vhdx/index.ts';
import type { TargetDisk } from './port.ts';

export class VhdxTargetDisk implements TargetDisk {
  readonly isNew: boolean;
  readonly #file: VhdxFile;

  constructor(file: VhdxFile, isNew: boolean) {
    this.#file = file;
    this.isNew = isNew;
  }

  get size(): number {
    return this.#file.size;
  }

  get logicalSectorSize(): number {
    return this.#file.logicalSectorSize;
  }

  read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void> {
    return this.#file.read(offset, into, options);
  }

  allocated(within?: Extent, options?: CallOptions): ExtentStream {
    return this.#file.allocated(within, options);
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#file.write(offset, bytes);
  }

  zero(offset: number, length: number): Promise<void> {
    return this.#file.zero(offset, length);
  }

  flush(): Promise<void> {
    return this.#file.flush();
  }

  async settleSize(): Promise<void> {}

  close(): Promise<void> {
    return this.#file.close();
  }
}
