/**
 * Pages of the file's own tables, 64 KiB each: BAT and sector bitmaps, of one file or of a whole chain.
 *
 * The cache is shared by a chain and bounded: a 64 TiB disk with 2 MiB blocks has a BAT of 256 MiB. Pages known to hold
 * only zeros, which is most of a thin disk's BAT, are remembered by one bit instead.
 */
import { KiB } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';

export const PAGE_SIZE = 64 * KiB;

export interface Page {
  readonly bytes: Uint8Array;
  /** The same bytes as little-endian words: two for each BAT entry. */
  readonly words: Uint32Array;
}

export function newPage(): Page {
  const bytes = new Uint8Array(PAGE_SIZE);
  return { bytes, words: new Uint32Array(bytes.buffer) };
}

/** Tables of one file by page number (file offset / 64 KiB). */
export interface PageSource {
  /** The page if it is at hand; saves an await on hot paths. */
  peek(page: number): Page | undefined;
  load(page: number, options?: CallOptions): Promise<Page>;
}

/** 32 MiB: the BAT of 4 TiB of 2 MiB blocks, or a megabyte for each file of a chain of 32. */
const CACHED_PAGES = 512;
/** Page numbers stay below 2^32 (256 TiB), so file and page fit one exact number. */
const FILE_STRIDE = 2 ** 32;

/** Least recently used pages of several files. */
export class PageCache {
  readonly #pages = new Map<number, Page>();
  readonly #capacity: number;
  #files = 0;

  constructor(capacity = CACHED_PAGES) {
    this.#capacity = capacity;
  }

  /** A view of `reader` through this cache. */
  file(reader: RangeReader): PagedFile {
    this.#files += 1;
    return new PagedFile(this, (this.#files - 1) * FILE_STRIDE, reader);
  }

  get(key: number): Page | undefined {
    const page = this.#pages.get(key);
    if (!page) return undefined;
    this.#pages.delete(key);
    this.#pages.set(key, page);
    return page;
  }

  put(key: number, page: Page): void {
    this.#pages.delete(key);
    this.#pages.set(key, page);
    if (this.#pages.size > this.#capacity) this.#pages.delete(this.#pages.keys().next().value!);
  }
}

export class PagedFile implements PageSource {
  readonly #cache: PageCache;
  readonly #base: number;
  readonly #reader: RangeReader;

  constructor(cache: PageCache, base: number, reader: RangeReader) {
    this.#cache = cache;
    this.#base = base;
    this.#reader = reader;
  }

  peek(page: number): Page | undefined {
    return this.#cache.get(this.#base + page);
  }

  async load(page: number, options?: CallOptions): Promise<Page> {
    const fresh = newPage();
    await this.#reader.read(page * PAGE_SIZE, fresh.bytes, options);
    this.put(page, fresh);
    return fresh;
  }

  put(page: number, loaded: Page): void {
    this.#cache.put(this.#base + page, loaded);
  }
}
