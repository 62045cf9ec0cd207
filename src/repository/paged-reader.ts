/** Small reads of large objects: by position, through one bounded cache of pages that all of them share. */
import { KiB } from '../base/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { FetchCache } from './lru.ts';

const PAGE_BYTES = 64 * KiB;

export class PageCache {
  readonly #store: ObjectStore;
  readonly #pages: FetchCache<Uint8Array>;

  constructor(store: ObjectStore, bytesMax: number) {
    this.#store = store;
    this.#pages = new FetchCache(bytesMax, (page) => page.length);
  }

  page(name: string, size: number, index: number): Uint8Array | Promise<Uint8Array> {
    const offset = index * PAGE_BYTES;
    return this.#pages.get(`${name} ${index}`, () =>
      this.#store.getRange(name, offset, Math.min(PAGE_BYTES, size - offset)),
    );
  }
}

export class PagedReader {
  readonly name: string;
  readonly size: number;
  readonly #cache: PageCache;

  constructor(cache: PageCache, name: string, size: number) {
    this.#cache = cache;
    this.name = name;
    this.size = size;
  }

  /** Bytes `[offset, offset + length)`; a view into the cache where they lie in one page, so not to be changed. */
  async bytes(offset: number, length: number): Promise<Uint8Array> {
    const first = Math.floor(offset / PAGE_BYTES);
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    const inPage = offset - first * PAGE_BYTES;
    if (first === last) {
      return (await this.#cache.page(this.name, this.size, first)).subarray(inPage, inPage + length);
    }
    const pages: Uint8Array[] = [];
    for (let index = first; index <= last; index += 1) {
      pages.push(await this.#cache.page(this.name, this.size, index));
    }
    return Buffer.concat(pages).subarray(inPage, inPage + length);
  }
}
