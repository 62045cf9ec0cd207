/**
 * A VMDK of one growing file (monolithicSparse), as VMware Workstation makes it:
 *
 *   header │ descriptor │ directory, tables │ directory, tables │ grains …
 *            (redundant copy first)
 *
 * All tables have their place from the start, as VMware's library wants it; those of parts without data are holes of the
 * file. `place` comes in ascending order, so one table is in memory. The header is written last: without it the file is
 * nothing.
 */
import { basename } from 'node:path';
import { assert, GiB } from '../base/index.ts';
import { checkRange, type FileSpan } from '../disk/index.ts';
import { appendSpan } from './file-spans.ts';
import { directoryBytes, GrainTable } from './grain-table.ts';
import { checkSectorSize } from './format-info.ts';
import { ImageFile } from './image-file.ts';
import type { ImageOptions, ImageWriter } from './image-writer.ts';
import { embeddedDescriptor, type VmdkOptions } from './vmdk-descriptor.ts';
import {
  DESCRIPTOR_SECTOR,
  DESCRIPTOR_SECTORS,
  directoryOf,
  FLAG_LINE_ENDS,
  FLAG_REDUNDANT_DIRECTORY,
  GRAIN,
  GRAIN_SECTORS,
  HEADER_DEFAULTS,
  SECTOR,
  sectorsOf,
  sparseHeader,
  TABLE_ENTRIES,
  TABLE_SECTORS,
  TABLE_SPAN,
} from './vmdk-format.ts';

export interface VmdkImageOptions extends ImageOptions, VmdkOptions {
  /** Of the disk's origin. A VMDK has 512 and no other: `IMAGE_SECTOR_SIZE_REFUSED`. */
  readonly logicalSectorSize?: number;
}

/** Bytes. VMware's library ends at 2 TiB for this form; below this size, metadata and data of a full disk fit too. */
export const SPARSE_SIZE_MAX = 2047 * GiB;

/** Creates `<path>.partial`. */
export async function createVmdkImage(path: string, options: VmdkImageOptions): Promise<ImageWriter> {
  checkSectorSize('VMDK', options.logicalSectorSize ?? 512);
  return new VmdkImage(await ImageFile.create(path, options), options);
}

/** Sectors where the parts of the file begin. */
function layoutOf(size: number): { tables: number; directories: readonly [number, number]; data: number } {
  const { tables, sectors } = directoryOf(size);
  const first = DESCRIPTOR_SECTOR + DESCRIPTOR_SECTORS;
  const second = first + sectors + tables * TABLE_SECTORS;
  const end = second + sectors + tables * TABLE_SECTORS;
  return {
    tables,
    directories: [first, second],
    data: Math.ceil(end / GRAIN_SECTORS) * GRAIN_SECTORS,
  };
}

class VmdkImage implements ImageWriter {
  readonly size: number;
  readonly #file: ImageFile;
  readonly #options: VmdkImageOptions;
  readonly #layout: ReturnType<typeof layoutOf>;
  readonly #table = new GrainTable();
  #nextSector: number;
  #reached = 0;

  constructor(file: ImageFile, options: VmdkImageOptions) {
    this.size = options.size;
    this.#file = file;
    this.#options = options;
    this.#layout = layoutOf(options.size);
    this.#nextSector = this.#layout.data;
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
    const within = spanOf(offset) === this.#table.span && spanOf(offset + length - 1) === this.#table.span;
    if (length > 0 && !within) return this.#placeAcross(offset, length, spans);
    if (length > 0) this.#placeWithin(offset, offset + length, spans);
    return spans;
  }

  async finish(): Promise<void> {
    this.#file.checkOpen();
    await this.#writeTable();
    await this.#writeDirectories();
    await this.#file.setSize(this.#nextSector * SECTOR);
    const descriptor = embeddedDescriptor({
      ...this.#options,
      createType: 'monolithicSparse',
      extent: { type: 'SPARSE', fileName: basename(this.finalPath) },
    });
    await this.#file.write(DESCRIPTOR_SECTOR * SECTOR, descriptor);
    await this.#file.write(0, this.#header());
    await this.#file.finish();
  }

  async abort(): Promise<void> {
    await this.#file.abort();
  }

  async #placeAcross(offset: number, length: number, spans: FileSpan[]): Promise<FileSpan[]> {
    for (let at = offset; at < offset + length;) {
      const span = spanOf(at);
      const end = Math.min(offset + length, (span + 1) * TABLE_SPAN);
      if (span !== this.#table.span) {
        await this.#writeTable();
        this.#table.start(span);
      }
      this.#placeWithin(at, end, spans);
      at = end;
    }
    return spans;
  }

  /** A grain that holds the end of an earlier range is used again. */
  #placeWithin(start: number, end: number, spans: FileSpan[]): void {
    for (let at = start; at < end;) {
      const grain = Math.floor(at / GRAIN);
      const within = at - grain * GRAIN;
      const length = Math.min(GRAIN - within, end - at);
      appendSpan(spans, this.#sectorOf(grain % TABLE_ENTRIES) * SECTOR + within, length);
      at += length;
    }
  }

  #sectorOf(index: number): number {
    const known = this.#table.sectorAt(index);
    if (known !== 0) return known;
    const sector = this.#nextSector;
    this.#nextSector += GRAIN_SECTORS;
    this.#table.set(index, sector);
    return sector;
  }

  async #writeTable(): Promise<void> {
    const { span, bytes } = this.#table;
    if (span < 0) return;
    const { sectors } = directoryOf(this.size);
    for (const directory of this.#layout.directories) {
      await this.#file.write((directory + sectors + span * TABLE_SECTORS) * SECTOR, bytes);
    }
  }

  async #writeDirectories(): Promise<void> {
    const { tables, directories } = this.#layout;
    const { sectors } = directoryOf(this.size);
    for (const directory of directories) {
      const places = Array.from({ length: tables }, (_, i) => directory + sectors + i * TABLE_SECTORS);
      await this.#file.write(directory * SECTOR, directoryBytes(places, sectors * SECTOR));
    }
  }

  #header(): Uint8Array {
    const bytes = new Uint8Array(SECTOR);
    sparseHeader.write(bytes, {
      ...HEADER_DEFAULTS,
      version: 1,
      flags: FLAG_LINE_ENDS | FLAG_REDUNDANT_DIRECTORY,
      capacity: sectorsOf(this.size),
      redundantDirectoryOffset: this.#layout.directories[0],
      directoryOffset: BigInt(this.#layout.directories[1]),
      overhead: this.#layout.data,
    });
    return bytes;
  }
}

function spanOf(offset: number): number {
  return Math.floor(offset / TABLE_SPAN);
}
