/** A VHDX as an image: dynamic, or fixed for what takes no other. */
import { createPlacedVhdx } from '../vhdx/index.ts';
import type { ImageOptions, ImageWriter } from './image-writer.ts';
import { PlacedImage } from './placed-image.ts';

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
export function createVhdxImage(path: string, options: VhdxImageOptions): Promise<ImageWriter> {
  return create('dynamic', path, options);
}

/** Creates `<path>.partial`. What is not written takes no room on a sparse file system. */
export function createFixedVhdxImage(path: string, options: VhdxImageOptions): Promise<ImageWriter> {
  return create('fixed', path, options);
}

function create(kind: 'dynamic' | 'fixed', path: string, options: VhdxImageOptions): Promise<ImageWriter> {
  const { overwrite = false, check, ...vhdxOptions } = options;
  return PlacedImage.create(path, { overwrite, check }, (partialPath) =>
    createPlacedVhdx(partialPath, { ...vhdxOptions, kind }),
  );
}
