/** A disk in memory: the reference model of tests and the smallest possible `Disk`. */
import { isZero } from '../base/index.ts';
import { clip, intersect, type Extent } from '../extents/index.ts';
import { diskFaults } from './faults.ts';
import type { Disk, RangeWriter } from './ports.ts';
import { checkRange } from './range.ts';

const PAGE = 65536;

export class MemoryDisk implements Disk, RangeWriter {
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly #pages = new Map<number, Uint8Array>();
  #closed = false;

  constructor(size: number, options: { logicalSectorSize?: number } = {}) {
    this.size = size;
    this.logicalSectorSize = options.logicalSectorSize ?? 512;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#check(offset, into.length);
    this.#eachPage(offset, into.length, (index, at, length, done) => {
      const page = this.#pages.get(index);
      if (page) into.set(page.subarray(at, at + length), done);
      else into.fill(0, done, done + length);
    });
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#check(offset, bytes.length);
    this.#eachPage(offset, bytes.length, (index, at, length, done) => {
      const page = this.#pages.get(index) ?? new Uint8Array(PAGE);
      page.set(bytes.subarray(done, done + length), at);
      this.#pages.set(index, page);
    });
  }

  async zero(offset: number, length: number): Promise<void> {
    this.#check(offset, length);
    this.#eachPage(offset, length, (index, at, count) => {
      const page = this.#pages.get(index);
      page?.fill(0, at, at + count);
      if (page && isZero(page)) this.#pages.delete(index);
    });
  }

  *allocated(within: Extent = { offset: 0, length: this.size }): Generator<Extent> {
    for (const index of [...this.#pages.keys()].sort((a, b) => a - b)) {
      yield* intersect(clip([{ offset: index * PAGE, length: PAGE }], this.size), [within]);
    }
  }

  /** An independent copy of the present content. */
  snapshot(): MemoryDisk {
    const copy = new MemoryDisk(this.size, { logicalSectorSize: this.logicalSectorSize });
    for (const [index, page] of this.#pages) copy.#pages.set(index, page.slice());
    return copy;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(offset: number, length: number): void {
    if (this.#closed) throw diskFaults.closed();
    checkRange(offset, length, this.size);
  }

  #eachPage(
    offset: number,
    length: number,
    visit: (index: number, at: number, length: number, done: number) => void,
  ): void {
    for (let done = 0; done < length;) {
      const index = Math.floor((offset + done) / PAGE);
      const at = offset + done - index * PAGE;
      const count = Math.min(PAGE - at, length - done);
      visit(index, at, count, done);
      done += count;
    }
  }
}
