/** Sector bitmaps of a chain's blocks, least recently used first out. Full ones, the norm, are kept as a word. */
import { MiB } from '../base/index.ts';

/** Which sectors of a block are in the file; `'full'`: all of them. */
export type Bitmap = Uint8Array | 'full';

const BYTES_MAX = 16 * MiB;
/** What an entry costs beside its bytes. */
const ENTRY_BYTES = 128;
/** Blocks of a file stay far below, so file and block fit one exact number. */
const FILE_STRIDE = 2 ** 32;

export class BitmapCache {
  readonly #bitmaps = new Map<number, Bitmap>();
  #bytes = 0;
  #files = 0;

  /** The key of block 0 of one more file; add the number of the block. */
  newFile(): number {
    this.#files += 1;
    return this.#files * FILE_STRIDE;
  }

  get(key: number): Bitmap | undefined {
    const bitmap = this.#bitmaps.get(key);
    if (bitmap === undefined) return undefined;
    this.#bitmaps.delete(key);
    this.#bitmaps.set(key, bitmap);
    return bitmap;
  }

  put(key: number, bitmap: Bitmap): void {
    if (this.#bitmaps.has(key)) return;
    this.#bitmaps.set(key, bitmap);
    this.#bytes += costOf(bitmap);
    for (const [oldest, dropped] of this.#bitmaps) {
      if (this.#bytes <= BYTES_MAX) return;
      this.#bitmaps.delete(oldest);
      this.#bytes -= costOf(dropped);
    }
  }
}

function costOf(bitmap: Bitmap): number {
  return ENTRY_BYTES + (bitmap === 'full' ? 0 : bitmap.length);
}
