/**
 * A qcow2 image, uncompressed, without backing file, written once from front to back:
 *
 *   header │ L1 table │ L2 · data … │ L2 · data … │ refcount table │ refcount blocks
 *
 * A region is what one L2 table maps: 512 MiB of the disk at 64 KiB clusters. `place` comes in ascending order, so only the
 * L2 table of the present region is in memory; it is written when the next region begins. With the L1 table (1 MiB for 64
 * TiB) that is all the memory there is, however large the disk. The header is written last: without it the file is nothing.
 */
import { assert, KiB, viewOf } from '../base/index.ts';
import { checkRange, type FileSpan } from '../disk/index.ts';
import { putEntry, QCOW2_MAGIC, qcow2Header, REFCOUNT_ORDER, SECTOR_SIZE } from './format.ts';
import { ImageFile } from './image-file.ts';
import type { ImageOptions, ImageWriter } from './image-writer.ts';
import { L2Table } from './l2-table.ts';
import { qcow2Geometry, type Qcow2Geometry } from './qcow2-geometry.ts';
import { refcountLayout, refcountPieces, type RefcountLayout } from './refcounts.ts';

export interface Qcow2Options extends ImageOptions {
  /** Bytes; a power of two from 512 to 2 MiB. Default: 64 KiB, the grain of Hyper-V's change tracking and of QEMU. */
  readonly clusterSize?: number;
}

/** Creates `<path>.partial`. `IMAGE_SIZE_REFUSED` when QEMU could not open an image of that size with those clusters. */
export async function createQcow2Image(path: string, options: Qcow2Options): Promise<ImageWriter> {
  const geometry = qcow2Geometry(options.size, options.clusterSize ?? 64 * KiB);
  return new Qcow2Image(await ImageFile.create(path, options), geometry);
}

class Qcow2Image implements ImageWriter {
  readonly #file: ImageFile;
  readonly #geometry: Qcow2Geometry;
  readonly #l1: Uint8Array;
  readonly #l2: L2Table;
  #nextCluster: number;
  #reached = 0;

  constructor(file: ImageFile, geometry: Qcow2Geometry) {
    this.#file = file;
    this.#geometry = geometry;
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
    this.#file.checkOpen();
    checkRange(offset, length, this.size);
    assert(offset >= this.#reached, 'ranges are placed in ascending order');
    this.#reached = offset + length;
    const spans: FileSpan[] = [];
    const region = this.#regionOf(offset);
    if (length === 0) return spans;
    if (region !== this.#l2.region || this.#regionOf(offset + length - 1) !== region) {
      return this.#placeAcross(offset, length, spans);
    }
    this.#placeWithin(offset, offset + length, spans);
    return spans;
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
    await this.#file.write(0, this.#header(layout));
    await this.#file.finish();
  }

  async abort(): Promise<void> {
    await this.#file.abort();
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
      append(spans, fileOffset, length);
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

  /** The whole first cluster; zeros behind the header say that no extension follows. */
  #header(layout: RefcountLayout): Uint8Array {
    const { size, clusterSize, regions } = this.#geometry;
    const bytes = new Uint8Array(clusterSize);
    qcow2Header.write(bytes, {
      magic: QCOW2_MAGIC,
      version: 3,
      clusterBits: Math.log2(clusterSize),
      size: Math.ceil(size / SECTOR_SIZE) * SECTOR_SIZE,
      l1Size: regions,
      l1TableOffset: clusterSize,
      refcountTableOffset: this.#nextCluster * clusterSize,
      refcountTableClusters: layout.tableClusters,
      refcountOrder: REFCOUNT_ORDER,
      headerLength: qcow2Header.size,
    });
    return bytes;
  }
}

function append(spans: FileSpan[], fileOffset: number, length: number): void {
  const last = spans.at(-1);
  if (last && last.fileOffset + last.length === fileOffset) {
    spans[spans.length - 1] = { fileOffset: last.fileOffset, length: last.length + length };
  } else {
    spans.push({ fileOffset, length });
  }
}
