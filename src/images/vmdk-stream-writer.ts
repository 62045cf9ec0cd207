/** The parts of a streamed VMDK in the order they are sent, and where each of them is. */
import { copyBytes } from '../base/index.ts';
import type { CompressedPiece } from './compressed-pieces.ts';
import { imageFaults } from './faults.ts';
import { directoryBytes, GrainTable } from './grain-table.ts';
import { embeddedDescriptor, type VmdkOptions } from './vmdk-descriptor.ts';
import {
  COMPRESSION_DEFLATE,
  DESCRIPTOR_SECTOR,
  DIRECTORY_AT_END,
  directoryOf,
  FILE_SECTORS_MAX,
  FLAG_COMPRESSED,
  FLAG_LINE_ENDS,
  FLAG_MARKERS,
  GRAIN_MARKER_SIZE,
  GRAIN_SECTORS,
  HEADER_DEFAULTS,
  MARKER,
  SECTOR,
  sectorsOf,
  sparseHeader,
  TABLE_ENTRIES,
  TABLE_SECTORS,
  vmdkMarker,
} from './vmdk-format.ts';

/** Header and descriptor fill one grain, as VMware lays them out. */
const OVERHEAD_SECTORS = GRAIN_SECTORS;

export class VmdkStreamWriter {
  readonly #size: number;
  readonly #sectorsMax: number;
  readonly #directory: Uint32Array;
  readonly #table = new GrainTable();
  /** Where the next byte goes. */
  #sector = OVERHEAD_SECTORS;

  /** `sectorsMax`: of the file; tests do not write 2 TiB. */
  constructor(size: number, sectorsMax: number = FILE_SECTORS_MAX) {
    this.#size = size;
    this.#sectorsMax = sectorsMax;
    this.#directory = new Uint32Array(directoryOf(size).tables);
  }

  head(options: VmdkOptions & { readonly fileName?: string }): Uint8Array {
    const { fileName = 'disk.vmdk' } = options;
    const bytes = new Uint8Array(OVERHEAD_SECTORS * SECTOR);
    const extent = { type: 'SPARSE', fileName } as const;
    bytes.set(this.#header(DIRECTORY_AT_END));
    bytes.set(
      embeddedDescriptor({ ...options, size: this.#size, createType: 'streamOptimized', extent }),
      DESCRIPTOR_SECTOR * SECTOR,
    );
    return bytes;
  }

  grains({ firstUnit, lengths, bytes }: CompressedPiece): Uint8Array {
    const out = new SectorBuffer(roomFor(lengths));
    let from = 0;
    for (const [i, length] of lengths.entries()) {
      if (length === 0) continue;
      this.#enter(Math.floor((firstUnit + i) / TABLE_ENTRIES), out);
      this.#table.set((firstUnit + i) % TABLE_ENTRIES, this.#sector + out.sectors);
      out.grain((firstUnit + i) * GRAIN_SECTORS, bytes.subarray(from, from + length));
      from += length;
    }
    return this.#written(out);
  }

  tail(): Uint8Array {
    const { sectors } = directoryOf(this.#size);
    const out = new SectorBuffer((TABLE_SECTORS + sectors + 5) * SECTOR);
    this.#closeTable(out);
    out.marker(MARKER.grainDirectory, sectors);
    const directorySector = this.#sector + out.sectors;
    out.append(directoryBytes(this.#directory, sectors * SECTOR));
    out.marker(MARKER.footer, 1);
    out.append(this.#header(BigInt(directorySector)));
    out.marker(MARKER.endOfStream, 0);
    return this.#written(out);
  }

  #enter(span: number, out: SectorBuffer): void {
    if (span === this.#table.span) return;
    this.#closeTable(out);
    this.#table.start(span);
  }

  #closeTable(out: SectorBuffer): void {
    if (this.#table.span < 0) return;
    out.marker(MARKER.grainTable, TABLE_SECTORS);
    this.#directory[this.#table.span] = this.#sector + out.sectors;
    out.append(this.#table.bytes);
  }

  #written(out: SectorBuffer): Uint8Array {
    this.#sector += out.sectors;
    if (this.#sector > this.#sectorsMax) {
      throw imageFaults.full({ format: 'vmdk-stream', limit: this.#sectorsMax * SECTOR });
    }
    return out.bytes();
  }

  #header(directoryOffset: bigint): Uint8Array {
    const bytes = new Uint8Array(SECTOR);
    sparseHeader.write(bytes, {
      ...HEADER_DEFAULTS,
      version: 3,
      flags: FLAG_LINE_ENDS | FLAG_COMPRESSED | FLAG_MARKERS,
      capacity: sectorsOf(this.#size),
      directoryOffset,
      overhead: OVERHEAD_SECTORS,
      compression: COMPRESSION_DEFLATE,
    });
    return bytes;
  }
}

/** A piece touches one table, or ends one and begins the next. */
function roomFor(lengths: readonly number[]): number {
  const grains = lengths.reduce((sum, length) => sum + sectorsOf(GRAIN_MARKER_SIZE + length), 0);
  return (grains + TABLE_SECTORS + 1) * SECTOR;
}

/** Bytes that grow by whole sectors. */
class SectorBuffer {
  readonly #bytes: Uint8Array;
  sectors = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  append(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.sectors * SECTOR);
    this.sectors += sectorsOf(bytes.length);
  }

  grain(diskSector: number, compressed: Uint8Array): void {
    const at = this.sectors * SECTOR;
    vmdkMarker.write(this.#bytes, { value: diskSector, size: compressed.length }, at);
    copyBytes(compressed, this.#bytes, at + GRAIN_MARKER_SIZE);
    this.sectors += sectorsOf(GRAIN_MARKER_SIZE + compressed.length);
  }

  marker(type: number, value: number): void {
    vmdkMarker.write(this.#bytes, { value, type }, this.sectors * SECTOR);
    this.sectors += 1;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.sectors * SECTOR);
  }
}
