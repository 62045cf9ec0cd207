/**
 * Table pages that are being changed: held in memory until `commit` writes them, all changes of one page at once. The one
 * place where a log would stand between a change and the file.
 */
import type { CallOptions } from '../disk/index.ts';
import { LOG_SECTOR } from './format.ts';
import type { LocalFile } from './local-file.ts';
import { PAGE_SIZE, type Page, type PagedFile, type PageSource } from './pages.ts';

interface DirtyPage {
  readonly page: Page;
  /** The first and the last changed byte, to whole 4 KiB. */
  from: number;
  to: number;
}

export class DirtyPages implements PageSource {
  readonly #file: LocalFile;
  readonly #clean: PagedFile;
  readonly #dirty = new Map<number, DirtyPage>();

  constructor(file: LocalFile, clean: PagedFile) {
    this.#file = file;
    this.#clean = clean;
  }

  get count(): number {
    return this.#dirty.size;
  }

  peek(page: number): Page | undefined {
    return this.#dirty.get(page)?.page ?? this.#clean.peek(page);
  }

  async load(page: number, options?: CallOptions): Promise<Page> {
    return this.#dirty.get(page)?.page ?? (await this.#clean.load(page, options));
  }

  /** Bytes `[from, to)` of `page`, as peeked or loaded, were changed. */
  touch(number: number, page: Page, from: number, to: number): void {
    const known = this.#dirty.get(number);
    const start = Math.floor(from / LOG_SECTOR) * LOG_SECTOR;
    const end = Math.ceil(to / LOG_SECTOR) * LOG_SECTOR;
    this.#dirty.set(number, {
      page,
      from: Math.min(start, known?.from ?? start),
      to: Math.max(end, known?.to ?? end),
    });
  }

  /**
   * Writes what was changed, from the end of the table to its start: the entry of a bitmap block stands behind those of its
   * chunk, so a process that dies in between leaves no partly present block without its bitmap. What fails stays dirty.
   */
  async commit(): Promise<void> {
    for (const number of [...this.#dirty.keys()].sort((a, b) => b - a)) {
      const { page, from, to } = this.#dirty.get(number)!;
      await this.#file.write(number * PAGE_SIZE + from, page.bytes.subarray(from, to));
      this.#clean.put(number, page);
      this.#dirty.delete(number);
    }
  }
}
