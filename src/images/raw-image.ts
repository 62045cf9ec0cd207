/** A raw image: byte n of the disk is byte n of the file. What is never placed stays a hole and takes no room. */
import { assert } from '../base/index.ts';
import { checkRange, type FileSpan } from '../disk/index.ts';
import { imageFault, imageFaults } from './faults.ts';
import { ImageFile } from './image-file.ts';
import type { ImageOptions, ImageWriter } from './image-writer.ts';

/** Creates `<path>.partial`. `IMAGE_TOO_LARGE_FOR_VOLUME` where files cannot be that long (ext4 ends at 16 TiB). */
export async function createRawImage(path: string, options: ImageOptions): Promise<ImageWriter> {
  const file = await ImageFile.create(path, options);
  try {
    await file.setSize(options.size);
  } catch (error) {
    await file.abort();
    throw sizeFault(error, file.name.partialPath, options.size);
  }
  return new RawImage(file, options.size);
}

function sizeFault(error: unknown, path: string, size: number): unknown {
  return (error as NodeJS.ErrnoException).code === 'EFBIG'
    ? imageFaults.tooLargeForVolume({ path, size }, { cause: error })
    : imageFault(error, path);
}

class RawImage implements ImageWriter {
  readonly size: number;
  readonly isFlat = true;
  readonly #file: ImageFile;
  #reached = 0;

  constructor(file: ImageFile, size: number) {
    this.#file = file;
    this.size = size;
  }

  get path(): string {
    return this.#file.name.partialPath;
  }

  get finalPath(): string {
    return this.#file.name.finalPath;
  }

  place(offset: number, length: number): FileSpan[] {
    this.#file.checkOpen();
    checkRange(offset, length, this.size);
    assert(offset >= this.#reached, 'ranges are placed in ascending order');
    this.#reached = offset + length;
    return length > 0 ? [{ fileOffset: offset, length }] : [];
  }

  async finish(): Promise<void> {
    await this.#file.finish();
  }

  async abort(): Promise<void> {
    await this.#file.abort();
  }
}
