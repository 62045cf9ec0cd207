/** Table pages that are being changed: held in memory until a commit, all changes of one 4 KiB sector at once. */
import type { CallOptions } from '../disk/index.ts';
import { LOG_SECTOR } from './format.ts';
import type { Journal } from './journal.ts';
import type { TableSector } from './log-entry.ts';
import { PAGE_SIZE, type Page, type PagedFile, type PageSource } from './pages.ts';

interface DirtyPage {
  readonly page: Page;
  /** Bit n: the page's 4 KiB sector n was changed. */
  sectors: number;
}

const SECTORS_PER_PAGE = PAGE_SIZE / LOG_SECTOR;

export class DirtyPages implements PageSource {
  readonly #clean: PagedFile;
  readonly #dirty = new Map<number, DirtyPage>();
  #sectorCount = 0;

  constructor(clean: PagedFile) {
    this.#clean = clean;
  }

  /** Changed sectors of 4 KiB: what a commit writes. */
  get sectorCount(): number {
    return this.#sectorCount;
  }

  peek(page: number): Page | undefined {
    return this.#dirty.get(page)?.page ?? this.#clean.peek(page);
  }

  async load(page: number, options?: CallOptions): Promise<Page> {
    return this.#dirty.get(page)?.page ?? (await this.#clean.load(page, options));
  }

  /** Bytes `[from, to)` of `page`, as peeked or loaded, were changed. */
  touch(number: number, page: Page, from: number, to: number): void {
    let known = this.#dirty.get(number);
    if (!known) this.#dirty.set(number, (known = { page, sectors: 0 }));
    for (let sector = Math.floor(from / LOG_SECTOR); sector * LOG_SECTOR < to; sector += 1) {
      if ((known.sectors & (1 << sector)) !== 0) continue;
      known.sectors |= 1 << sector;
      this.#sectorCount += 1;
    }
  }

  /** Makes the changes durable, and everything written to the file before. What fails stays dirty. */
  async commit(journal: Journal): Promise<void> {
    await journal.commit([...this.#sectors()]);
    for (const [number, { page }] of this.#dirty) this.#clean.put(number, page);
    this.#dirty.clear();
    this.#sectorCount = 0;
  }

  *#sectors(): Generator<TableSector> {
    for (const [number, { page, sectors }] of this.#dirty) {
      for (let sector = 0; sector < SECTORS_PER_PAGE; sector += 1) {
        if ((sectors & (1 << sector)) === 0) continue;
        const at = sector * LOG_SECTOR;
        yield { fileOffset: number * PAGE_SIZE + at, bytes: page.bytes.subarray(at, at + LOG_SECTOR) };
      }
    }
  }
}
