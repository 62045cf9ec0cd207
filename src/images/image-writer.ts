/** What every format writes through: a `PlacedWriter` that knows the name its file will have. */
import type { PlacedWriter } from '../disk/index.ts';
import type { ImageNameOptions } from './image-name.ts';

export interface ImageWriter extends PlacedWriter {
  /** Where bytes are written to until `finish`: `<finalPath>.partial`. */
  readonly path: string;
  /** The name of the image once it is finished. */
  readonly finalPath: string;
}

export interface ImageOptions extends ImageNameOptions {
  /** Bytes of the virtual disk, more than zero. */
  readonly size: number;
}
