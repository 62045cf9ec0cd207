/** An image that its format's own `PlacedWriter` writes, under the names it has while it is written and once it is finished. */
import type { FileSpan, PlacedWriter } from '../disk/index.ts';
import { imageFault } from './faults.ts';
import { ImageName, type ImageNameOptions } from './image-name.ts';
import type { ImageWriter } from './image-writer.ts';

export class PlacedImage implements ImageWriter {
  readonly #name: ImageName;
  readonly #inner: PlacedWriter;
  #complete = false;

  private constructor(name: ImageName, inner: PlacedWriter) {
    this.#name = name;
    this.#inner = inner;
  }

  /** Creates `<path>.partial` by `create`. */
  static async create(
    path: string,
    options: ImageNameOptions,
    create: (partialPath: string) => Promise<PlacedWriter>,
  ): Promise<ImageWriter> {
    const name = await ImageName.choose(path, options);
    try {
      return new PlacedImage(name, await create(name.partialPath));
    } catch (error) {
      throw imageFault(error, name.partialPath);
    }
  }

  get size(): number {
    return this.#inner.size;
  }

  get path(): string {
    return this.#inner.path;
  }

  get isFlat(): boolean {
    return this.#inner.isFlat ?? false;
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
