/** Writes a new file's block table in ascending order of blocks, a page of 64 KiB at a time: 64 TiB needs no more memory. */
import type { LocalFile } from '../disk/index.ts';
import { ENTRIES_PER_PAGE, setEntry } from './bat.ts';
import { BLOCK } from './format.ts';
import type { Layout } from './layout.ts';
import { PAGE_SIZE, newPage } from './pages.ts';

export class BlockTableWriter {
  readonly #file: LocalFile;
  readonly #layout: Layout;
  #page = newPage();
  #pageIndex = 0;

  /** The file's BAT region must be there, zeroed. */
  constructor(file: LocalFile, layout: Layout) {
    this.#file = file;
    this.#layout = layout;
  }

  /** Enters `block` as fully present at `fileOffset`. To be awaited when it returns something: a page is being written. */
  place(block: number, fileOffset: number): Promise<void> | undefined {
    const entry = this.#layout.geometry.payloadEntry(block);
    const pageIndex = Math.floor(entry / ENTRIES_PER_PAGE);
    const full = pageIndex === this.#pageIndex ? undefined : this.#turnTo(pageIndex);
    setEntry(this.#page, entry % ENTRIES_PER_PAGE, BLOCK.fullyPresent, fileOffset);
    return full;
  }

  #turnTo(pageIndex: number): Promise<void> {
    const written = this.finish();
    this.#page = newPage();
    this.#pageIndex = pageIndex;
    return written;
  }

  /** Writes the last page. */
  finish(): Promise<void> {
    const offset = this.#layout.bat.fileOffset + this.#pageIndex * PAGE_SIZE;
    return this.#file.write(offset, this.#page.bytes);
  }
}
