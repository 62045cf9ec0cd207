/**
 * The clusters of a qcow2 image whose reference counts differ: several compressed clusters of the disk share one of the
 * file, and it counts each of them.
 *
 *   ┌ block │ 32,767 clusters … ┬ block │ 32,767 clusters … ┬ … │ refcount table │      (at 64 KiB: 2 GiB a block)
 *
 * Each refcount block lies at the start of the range it counts (the first one behind what is there already), so that only
 * one is in memory, however large the file gets.
 */
import { viewOf } from '../base/index.ts';
import { ENTRY_SIZE, REFCOUNT_SIZE } from './format.ts';

type Write = (position: number, bytes: Uint8Array) => Promise<void>;

export class CountedClusters {
  readonly #clusterSize: number;
  readonly #write: Write;
  readonly #rangeClusters: number;
  /** File offset of each block: 8 bytes for 2 GiB of the file. */
  readonly #blocks: number[] = [];
  readonly #counts: Uint8Array;
  #next: number;
  /** The free rest of the last cluster that holds compressed data. It lies in the range that is counted now. */
  #packed = { at: 0, end: 0 };

  /** `first`: clusters from the start of the file that are in use, fewer than a range has. */
  constructor(clusterSize: number, first: number, write: Write) {
    this.#clusterSize = clusterSize;
    this.#write = write;
    this.#rangeClusters = clusterSize / REFCOUNT_SIZE;
    this.#counts = new Uint8Array(clusterSize);
    this.#next = first;
    for (let cluster = 0; cluster < first; cluster += 1) this.#count(cluster);
    this.#takeBlock();
  }

  /** File offset of a cluster that is used once. To be awaited when a block of counts has to be written first: one in 32,767. */
  take(): number | Promise<number> {
    if (this.#next % this.#rangeClusters !== 0) return this.#takeHere();
    return this.#enterRange().then(() => this.#takeHere());
  }

  /** File offset for `length` bytes, at most a cluster of them, that share clusters with others of their kind. */
  pack(length: number): number | Promise<number> {
    if (this.#packed.end - this.#packed.at < length && !this.#growPacked()) {
      const start = this.take();
      return typeof start === 'number'
        ? this.#startPacked(start, length)
        : start.then((later) => this.#startPacked(later, length));
    }
    const { at } = this.#packed;
    this.#count(Math.floor(at / this.#clusterSize));
    this.#packed.at += length;
    return at;
  }

  #startPacked(start: number, length: number): number {
    this.#packed = { at: start + length, end: start + this.#clusterSize };
    return start;
  }

  /** Writes what is left of the counts, and the table that names the blocks. */
  async finish(): Promise<{ refcountTableOffset: number; refcountTableClusters: number }> {
    const clusters = Math.ceil(((this.#blocks.length + 1) * ENTRY_SIZE) / this.#clusterSize);
    // The table is in one piece, and no block may stand inside it.
    if (this.#rangeOf(this.#next) !== this.#rangeOf(this.#next + clusters - 1)) await this.#enterRange();
    if (this.#next % this.#rangeClusters === 0) await this.#enterRange();
    const refcountTableOffset = this.#next * this.#clusterSize;
    for (let i = 0; i < clusters; i += 1) this.#takeHere();
    const table = new Uint8Array(clusters * this.#clusterSize);
    this.#blocks.forEach((offset, i) => viewOf(table).setBigUint64(i * ENTRY_SIZE, BigInt(offset)));
    await this.#write(this.#blocks.at(-1)!, this.#counts);
    await this.#write(refcountTableOffset, table);
    return { refcountTableOffset, refcountTableClusters: clusters };
  }

  /** Compressed data goes on into the next cluster when that one is free and in the same range. */
  #growPacked(): boolean {
    const goesOn = this.#packed.end === this.#next * this.#clusterSize && this.#packed.at < this.#packed.end;
    if (!goesOn || this.#next % this.#rangeClusters === 0) return false;
    this.#packed.end = this.#takeHere() + this.#clusterSize;
    return true;
  }

  #takeHere(): number {
    const cluster = this.#next;
    this.#next += 1;
    this.#count(cluster);
    return cluster * this.#clusterSize;
  }

  async #enterRange(): Promise<void> {
    await this.#write(this.#blocks.at(-1)!, this.#counts);
    this.#counts.fill(0);
    this.#packed = { at: 0, end: 0 };
    this.#next = Math.ceil(this.#next / this.#rangeClusters) * this.#rangeClusters;
    this.#takeBlock();
  }

  #takeBlock(): void {
    this.#blocks.push(this.#takeHere());
  }

  #rangeOf(cluster: number): number {
    return Math.floor(cluster / this.#rangeClusters);
  }

  #count(cluster: number): void {
    const view = viewOf(this.#counts);
    const at = (cluster % this.#rangeClusters) * REFCOUNT_SIZE;
    view.setUint16(at, view.getUint16(at) + 1);
  }
}
