/**
 * Where each block of an overlay is: still below it, in its data, or zeros. Two bits a block, in pages of 4 KiB that stand for
 * 1 GiB of disk; a page that was never touched costs nothing, in memory or in the file.
 */
import { LocalFile } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';

export const BLOCK_BYTES = 64 * 1024;
const PAGE_BYTES = 4096;
const BLOCKS_PER_PAGE = PAGE_BYTES * 4;

export const STATE = { below: 0, data: 1, zero: 2 } as const;
export type State = (typeof STATE)[keyof typeof STATE];

export interface StateRun extends Extent {
  readonly state: State;
}

export class BlockStates {
  readonly #file: LocalFile;
  readonly #pages = new Map<number, Uint8Array>();
  readonly #changed = new Set<number>();

  constructor(file: LocalFile) {
    this.#file = file;
  }

  /** Reads what the file has. */
  async load(): Promise<void> {
    for (let index = 0; index * PAGE_BYTES < this.#file.size; index += 1) {
      const page = new Uint8Array(PAGE_BYTES);
      const length = Math.min(PAGE_BYTES, this.#file.size - index * PAGE_BYTES);
      await this.#file.read(index * PAGE_BYTES, page.subarray(0, length));
      if (page.some((byte) => byte !== 0)) this.#pages.set(index, page);
    }
  }

  get(block: number): State {
    const page = this.#pages.get(Math.floor(block / BLOCKS_PER_PAGE));
    const within = block % BLOCKS_PER_PAGE;
    return page ? (((page[within >>> 2]! >>> (2 * (within & 3))) & 3) as State) : STATE.below;
  }

  set(block: number, state: State): void {
    const index = Math.floor(block / BLOCKS_PER_PAGE);
    const page = this.#pages.get(index) ?? new Uint8Array(PAGE_BYTES);
    this.#pages.set(index, page);
    const within = block % BLOCKS_PER_PAGE;
    const shift = 2 * (within & 3);
    page[within >>> 2] = (page[within >>> 2]! & ~(3 << shift)) | (state << shift);
    this.#changed.add(index);
  }

  /** Runs of blocks in one state, clipped to `within`, which they cover. */
  *runs(within: Extent): Generator<StateRun> {
    const end = within.offset + within.length;
    for (let at = within.offset; at < end;) {
      const state = this.get(Math.floor(at / BLOCK_BYTES));
      let to = this.#next(at);
      while (to < end && this.get(Math.floor(to / BLOCK_BYTES)) === state) to = this.#next(to);
      to = Math.min(to, end);
      yield { offset: at, length: to - at, state };
      at = to;
    }
  }

  /** The pages that changed since the last time, as they are now. To be taken before the data they speak of is made durable. */
  takeChanged(): Map<number, Uint8Array> {
    const changed = new Map([...this.#changed].map((index) => [index, this.#pages.get(index)!.slice()]));
    this.#changed.clear();
    return changed;
  }

  /** They could not be written: they are still to be. */
  putBack(pages: ReadonlyMap<number, Uint8Array>): void {
    for (const index of pages.keys()) this.#changed.add(index);
  }

  /** Durable afterwards. */
  async store(pages: ReadonlyMap<number, Uint8Array>): Promise<void> {
    for (const [index, page] of pages) await this.#file.write(index * PAGE_BYTES, page);
    if (pages.size > 0) await this.#file.sync();
  }

  /** Where the block after the one at `at` begins; an untouched page is stepped over at once. */
  #next(at: number): number {
    const pageBytes = BLOCKS_PER_PAGE * BLOCK_BYTES;
    const page = Math.floor(at / pageBytes);
    return this.#pages.has(page) ? (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES : (page + 1) * pageBytes;
  }
}
