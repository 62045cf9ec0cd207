/** Small reads of large objects, by position: through one bounded cache of pages that all of them share, or past it. */
import { KiB } from '../base/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { FetchCache } from './lru.ts';
import { OpenFiles } from './open-files.ts';

const PAGE_BYTES = 64 * KiB;

export class PageCache {
  readonly #store: ObjectStore;
  readonly #pages: FetchCache<Uint8Array>;
  readonly #files = new OpenFiles();

  constructor(store: ObjectStore, bytesMax: number) {
    this.#store = store;
    this.#pages = new FetchCache(bytesMax, (page) => page.length);
  }

  /** A read costs some 20 µs there, and a round trip elsewhere. */
  get isLocal(): boolean {
    return this.#store.localPath !== undefined;
  }

  page(name: string, size: number, index: number): Uint8Array | Promise<Uint8Array> {
    const offset = index * PAGE_BYTES;
    return this.#pages.get(`${name} ${index}`, () =>
      this.#store.getRange(name, offset, Math.min(PAGE_BYTES, size - offset)),
    );
  }

  /** Just these bytes, which are not kept. */
  async exact(name: string, offset: number, length: number): Promise<Uint8Array> {
    const path = this.#store.localPath?.(name);
    if (path !== undefined) {
      const bytes = Buffer.allocUnsafe(length);
      if (await this.#files.fill(path, offset, bytes)) return bytes;
    }
    return this.#store.getRange(name, offset, length);
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

  get isLocal(): boolean {
    return this.#cache.isLocal;
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

  /** The same past the cache: for what is large, or not asked for twice. */
  exact(offset: number, length: number): Promise<Uint8Array> {
    return this.#cache.exact(this.name, offset, length);
  }
}
