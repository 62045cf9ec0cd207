/** A VHD as an image: dynamic, or fixed as Azure takes it. */
import { createPlacedVhd } from '../vhd/index.ts';
import { checkSectorSize } from './format-info.ts';
import type { ImageOptions, ImageWriter } from './image-writer.ts';
import { PlacedImage } from './placed-image.ts';

export interface VhdImageOptions extends ImageOptions {
  /** Of the disk's origin. A VHD has 512 and no other: `IMAGE_SECTOR_SIZE_REFUSED`. */
  readonly logicalSectorSize?: number;
}

/** Creates `<path>.partial`. */
export function createVhdImage(path: string, options: VhdImageOptions): Promise<ImageWriter> {
  return create('dynamic', path, options);
}

/** Creates `<path>.partial`. */
export function createFixedVhdImage(path: string, options: VhdImageOptions): Promise<ImageWriter> {
  return create('fixed', path, options);
}

async function create(
  kind: 'dynamic' | 'fixed',
  path: string,
  options: VhdImageOptions,
): Promise<ImageWriter> {
  const { size, overwrite = false, check, logicalSectorSize = 512 } = options;
  checkSectorSize('VHD', logicalSectorSize);
  return PlacedImage.create(path, { overwrite, check }, (partialPath) =>
    createPlacedVhd(partialPath, { size, kind }),
  );
}
