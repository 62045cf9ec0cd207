/** A dynamic VHDX under the names an image has while it is written and once it is finished. */
import type { FileSpan, PlacedWriter } from '../disk/index.ts';
import { createPlacedVhdx } from '../vhdx/index.ts';
import { imageFault } from './faults.ts';
import { ImageName } from './image-name.ts';
import type { ImageOptions, ImageWriter } from './image-writer.ts';

export interface VhdxImageOptions extends ImageOptions {
  /** Bytes: 512 or 4096. A guest sees a change of it as another disk, so a restore passes the original's. */
  readonly logicalSectorSize?: number;
  readonly physicalSectorSize?: number;
  /** Bytes of a payload block, a power of two from 1 MiB to 256 MiB. */
  readonly blockSize?: number;
  /** The identity of the virtual disk; a new one by default. */
  readonly virtualDiskId?: string;
}

/** Creates `<path>.partial`. */
export async function createVhdxImage(path: string, options: VhdxImageOptions): Promise<ImageWriter> {
  const { overwrite, ...vhdxOptions } = options;
  const name = await ImageName.choose(path, overwrite === undefined ? {} : { overwrite });
  try {
    return new VhdxImage(name, await createPlacedVhdx(name.partialPath, vhdxOptions));
  } catch (error) {
    throw imageFault(error, name.partialPath);
  }
}

class VhdxImage implements ImageWriter {
  readonly #name: ImageName;
  readonly #inner: PlacedWriter;
  #complete = false;

  constructor(name: ImageName, inner: PlacedWriter) {
    this.#name = name;
    this.#inner = inner;
  }

  get size(): number {
    return this.#inner.size;
  }

  get path(): string {
    return this.#inner.path;
  }

  get finalPath(): string {
    return this.#name.finalPath;
  }

  place(offset: number, length: number): FileSpan[] | Promise<FileSpan[]> {
    return this.#inner.place(offset, length);
  }

  async finish(): Promise<void> {
    try {
      await this.#inner.finish();
    } catch (error) {
      throw imageFault(error, this.path);
    }
    await this.#name.complete();
    this.#complete = true;
  }

  async abort(): Promise<void> {
    if (this.#complete) return;
    await this.#inner.abort();
    await this.#name.discard();
  }
}
