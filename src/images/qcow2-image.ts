/**
 * An uncompressed qcow2 image, written once from front to back:
 *
 *   header │ L1 table │ L2 · data … │ L2 · data … │ refcount table │ refcount blocks
 *
 * A region is what one L2 table maps: 512 MiB of the disk at 64 KiB clusters. `place` comes in ascending order, so only the
 * L2 table of the present region is in memory; it is written when the next region begins. With the L1 table (1 MiB for 64
 * TiB) that is all the memory there is, however large the disk. The header is written last: without it the file is nothing.
 */
import { assert, KiB, viewOf } from '../base/index.ts';
import { checkRange, type FileSpan } from '../disk/index.ts';
import { appendSpan } from './file-spans.ts';
import { putEntry } from './format.ts';
import { ImageFile } from './image-file.ts';
import type { ImageOptions, ImageWriter } from './image-writer.ts';
import { L2Table } from './l2-table.ts';
import { qcow2Geometry, type Qcow2Geometry } from './qcow2-geometry.ts';
import { backingRoom, qcow2HeaderCluster, type BackingFile } from './qcow2-header.ts';
import { refcountLayout, refcountPieces } from './refcounts.ts';

export interface Qcow2Options extends ImageOptions {
  /** Bytes; a power of two from 512 to 2 MiB. Default: 64 KiB, the grain of Hyper-V's change tracking and of QEMU. */
  readonly clusterSize?: number;
  /** What the image reads where nothing was placed. It is named in the image, not looked at. */
  readonly backing?: BackingFile;
}

export interface Qcow2Writer extends ImageWriter {
  /**
   * Reserves room for whole clusters when there is a backing file: the rest of a cluster would hide it. In ascending order
   * with `zero`.
   */
  place(offset: number, length: number): FileSpan[] | Promise<FileSpan[]>;
  /** The range reads as zeros over a backing file. Whole clusters, up to the end of the disk. */
  zero(offset: number, length: number): Promise<void>;
}

/**
 * Creates `<path>.partial`. `IMAGE_SIZE_REFUSED` when QEMU could not open an image of that size with those clusters,
 * `IMAGE_BACKING_REFUSED` when the header has no room for the name of the backing file.
 */
export async function createQcow2Image(path: string, options: Qcow2Options): Promise<Qcow2Writer> {
  const geometry = qcow2Geometry(options.size, options.clusterSize ?? 64 * KiB);
  if (options.backing) backingRoom(options.backing, geometry.clusterSize);
  return new Qcow2Image(await ImageFile.create(path, options), geometry, options.backing);
}

class Qcow2Image implements Qcow2Writer {
  readonly #file: ImageFile;
  readonly #geometry: Qcow2Geometry;
  readonly #backing: BackingFile | undefined;
  readonly #l1: Uint8Array;
  readonly #l2: L2Table;
  #nextCluster: number;
  #reached = 0;

  constructor(file: ImageFile, geometry: Qcow2Geometry, backing: BackingFile | undefined) {
    this.#file = file;
    this.#geometry = geometry;
    this.#backing = backing;
    this.#l1 = new Uint8Array(geometry.l1Clusters * geometry.clusterSize);
    this.#l2 = new L2Table(geometry.clusterSize);
    this.#nextCluster = 1 + geometry.l1Clusters;
  }

  get size(): number {
    return this.#geometry.size;
  }

  get path(): string {
    return this.#file.name.partialPath;
  }

  get finalPath(): string {
    return this.#file.name.finalPath;
  }

  place(offset: number, length: number): FileSpan[] | Promise<FileSpan[]> {
    this.#advance(offset, length);
    const spans: FileSpan[] = [];
    const region = this.#regionOf(offset);
    if (length === 0) return spans;
    if (region !== this.#l2.region || this.#regionOf(offset + length - 1) !== region) {
      return this.#placeAcross(offset, length, spans);
    }
    this.#placeWithin(offset, offset + length, spans);
    return spans;
  }

  async zero(offset: number, length: number): Promise<void> {
    this.#advance(offset, length);
    if (!this.#backing) return;
    const { clusterSize, regionClusters } = this.#geometry;
    for (let at = offset; at < offset + length; at += clusterSize) {
      const region = this.#regionOf(at);
      if (region !== this.#l2.region) await this.#enterRegion(region);
      this.#l2.setZero(Math.floor(at / clusterSize) % regionClusters);
    }
  }

  async finish(): Promise<void> {
    this.#file.checkOpen();
    await this.#writeL2();
    const { clusterSize } = this.#geometry;
    const layout = refcountLayout(this.#nextCluster, clusterSize);
    let at = this.#nextCluster * clusterSize;
    for (const piece of refcountPieces(layout, this.#nextCluster, clusterSize)) {
      await this.#file.write(at, piece);
      at += piece.length;
    }
    await this.#file.write(clusterSize, this.#l1);
    const header = qcow2HeaderCluster(this.#geometry, {
      refcountTableOffset: this.#nextCluster * clusterSize,
      refcountTableClusters: layout.tableClusters,
      compression: 'deflate',
      backing: this.#backing,
    });
    await this.#file.write(0, header);
    await this.#file.finish();
  }

  async abort(): Promise<void> {
    await this.#file.abort();
  }

  #advance(offset: number, length: number): void {
    const { size, clusterSize } = this.#geometry;
    this.#file.checkOpen();
    checkRange(offset, length, size);
    assert(offset >= this.#reached, 'ranges are placed in ascending order');
    this.#reached = offset + length;
    const whole = offset % clusterSize === 0 && (this.#reached % clusterSize === 0 || this.#reached === size);
    assert(whole || !this.#backing, 'over a backing file, ranges are whole clusters');
  }

  async #placeAcross(offset: number, length: number, spans: FileSpan[]): Promise<FileSpan[]> {
    for (let at = offset; at < offset + length;) {
      const region = this.#regionOf(at);
      const end = Math.min(offset + length, (region + 1) * this.#geometry.regionSize);
      if (region !== this.#l2.region) await this.#enterRegion(region);
      this.#placeWithin(at, end, spans);
      at = end;
    }
    return spans;
  }

  /** Maps a range inside the present region; a cluster that holds the end of an earlier range is used again. */
  #placeWithin(start: number, end: number, spans: FileSpan[]): void {
    const { clusterSize, regionClusters } = this.#geometry;
    for (let at = start; at < end;) {
      const cluster = Math.floor(at / clusterSize);
      const within = at - cluster * clusterSize;
      const length = Math.min(clusterSize - within, end - at);
      const fileOffset = this.#clusterAt(cluster % regionClusters) + within;
      appendSpan(spans, fileOffset, length);
      at += length;
    }
  }

  #clusterAt(index: number): number {
    const known = this.#l2.offsetAt(index);
    if (known !== 0) return known;
    const fileOffset = this.#takeCluster();
    this.#l2.set(index, fileOffset);
    return fileOffset;
  }

  #takeCluster(): number {
    this.#nextCluster += 1;
    return (this.#nextCluster - 1) * this.#geometry.clusterSize;
  }

  #regionOf(offset: number): number {
    return Math.floor(offset / this.#geometry.regionSize);
  }

  async #enterRegion(region: number): Promise<void> {
    await this.#writeL2();
    const fileOffset = this.#takeCluster();
    putEntry(viewOf(this.#l1), region, fileOffset);
    this.#l2.startRegion(region, fileOffset);
  }

  async #writeL2(): Promise<void> {
    const { fileOffset, bytes } = this.#l2.used();
    await this.#file.write(fileOffset, bytes);
  }
}
