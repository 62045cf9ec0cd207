/** The L2 table of one region at a time; only the run of entries that are set is written, the rest stays a hole. */
import { viewOf } from '../base/index.ts';
import { ENTRY_SIZE, entryOffset, putCompressedEntry, putEntry, putZeroEntry } from './format.ts';

export class L2Table {
  region = -1;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #fileOffset = 0;
  #first = 0;
  #end = 0;

  constructor(clusterSize: number) {
    this.#bytes = new Uint8Array(clusterSize);
    this.#view = viewOf(this.#bytes);
  }

  startRegion(region: number, fileOffset: number): void {
    this.#bytes.fill(0, this.#first, this.#end);
    this.region = region;
    this.#fileOffset = fileOffset;
    this.#first = 0;
    this.#end = 0;
  }

  offsetAt(index: number): number {
    return entryOffset(this.#view, index);
  }

  /** Entries are set in ascending order. */
  set(index: number, fileOffset: number): void {
    putEntry(this.#view, index, fileOffset);
    this.#reach(index);
  }

  setCompressed(index: number, fileOffset: number, length: number): void {
    putCompressedEntry(this.#view, index, fileOffset, length);
    this.#reach(index);
  }

  setZero(index: number): void {
    putZeroEntry(this.#view, index);
    this.#reach(index);
  }

  used(): { fileOffset: number; bytes: Uint8Array } {
    return {
      fileOffset: this.#fileOffset + this.#first,
      bytes: this.#bytes.subarray(this.#first, this.#end),
    };
  }

  #reach(index: number): void {
    if (this.#end === 0) this.#first = index * ENTRY_SIZE;
    this.#end = (index + 1) * ENTRY_SIZE;
  }
}
