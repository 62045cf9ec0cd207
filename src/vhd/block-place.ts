/** Where a new block goes in a file that ends at some byte. */
import { KiB } from '../base/index.ts';
import { SECTOR, bitmapSizeOf } from './format.ts';

/** The page of most file systems: data on it can be written unbuffered, and what is not written stays a hole. */
const DATA_ALIGNMENT = 4 * KiB;

export interface BlockPlace {
  /** What the block table says. */
  readonly sector: number;
  readonly bitmapOffset: number;
  readonly dataOffset: number;
  readonly end: number;
}

/** The first place from `fileEnd` on whose data is aligned; the bitmap lies right before the data. */
export function nextBlockPlace(fileEnd: number, blockSize: number): BlockPlace {
  const bitmapSize = bitmapSizeOf(blockSize);
  const dataOffset = Math.ceil((fileEnd + bitmapSize) / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  const bitmapOffset = dataOffset - bitmapSize;
  return { sector: bitmapOffset / SECTOR, bitmapOffset, dataOffset, end: dataOffset + blockSize };
}
