/** Writes a new file's block table in ascending order of blocks, a page of 64 KiB at a time: 64 TiB needs no more memory. */
import type { LocalFile } from '../disk/index.ts';
import { ENTRIES_PER_PAGE, setEntry } from './bat.ts';
import { BITMAP, BLOCK } from './format.ts';
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

  /** Enters `block`, by default as fully present. To be awaited when it returns something: a page is being written. */
  place(block: number, fileOffset: number, state: number = BLOCK.fullyPresent): Promise<void> | undefined {
    return this.#enter(this.#layout.geometry.payloadEntry(block), state, fileOffset);
  }

  /** Enters the sector bitmap of the chunk of `block`: after all blocks of the chunk. To be awaited as `place`. */
  placeBitmap(block: number, fileOffset: number): Promise<void> | undefined {
    return this.#enter(this.#layout.geometry.bitmapEntry(block), BITMAP.present, fileOffset);
  }

  #enter(entry: number, state: number, fileOffset: number): Promise<void> | undefined {
    const pageIndex = Math.floor(entry / ENTRIES_PER_PAGE);
    const full = pageIndex === this.#pageIndex ? undefined : this.#turnTo(pageIndex);
    setEntry(this.#page, entry % ENTRIES_PER_PAGE, state, fileOffset);
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
