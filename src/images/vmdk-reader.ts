/**
 * A sparse VMDK, read: one growing file, or compressed as a stream, with the grains and tables that VMware's library makes. What
 * else the format has is refused by name; what contradicts itself is damage.
 */
import { viewOf } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { ABSENT, type ClusterTable, type ClusterTables } from './cluster-layer.ts';
import { decompress } from './codec.ts';
import { imageFaults } from './faults.ts';
import { ImageDisk } from './image-disk.ts';
import {
  directoryOf,
  ENTRY_SIZE,
  GRAIN,
  GRAIN_MARKER_SIZE,
  GRAIN_SECTORS,
  SECTOR,
  TABLE_ENTRIES,
  TABLE_SECTORS,
  vmdkMarker,
} from './vmdk-format.ts';
import { readVmdkInfo, type VmdkInfo } from './vmdk-info.ts';

export interface OpenVmdkOptions extends CallOptions {
  readonly open: (path: string) => Promise<RangeReader>;
}

/** What deflate makes of a grain at worst, and its marker, with room to spare. */
const PACKED_MAX = GRAIN + GRAIN / 64;

/** Faults: `IMAGE_DAMAGED`, `IMAGE_UNREAD`; what `open` throws passes through. Memory: the directory, 8 MiB for 64 TiB. */
export async function openSparseVmdk(path: string, options: OpenVmdkOptions): Promise<ImageDisk> {
  const file = await options.open(path);
  try {
    const info = await readVmdkInfo(file, path, options);
    return new ImageDisk(file, await VmdkTables.open(file, path, info, options));
  } catch (error) {
    await file.close();
    throw error;
  }
}

class VmdkTables implements ClusterTables {
  readonly size: number;
  readonly clusterSize = GRAIN;
  readonly clustersPerTable = TABLE_ENTRIES;
  readonly tables: number;
  readonly #file: RangeReader;
  readonly #path: string;
  readonly #info: VmdkInfo;
  /** Sectors. */
  readonly #directory: Uint32Array;

  private constructor(file: RangeReader, path: string, info: VmdkInfo, directory: Uint32Array) {
    this.size = info.size;
    this.tables = directory.length;
    this.#file = file;
    this.#path = path;
    this.#info = info;
    this.#directory = directory;
  }

  static async open(
    file: RangeReader,
    path: string,
    info: VmdkInfo,
    options: CallOptions,
  ): Promise<VmdkTables> {
    const bytes = new Uint8Array(directoryOf(info.size).tables * ENTRY_SIZE);
    if (info.directoryOffset + bytes.length > file.size) {
      throw imageFaults.damaged({ path, format: 'VMDK', problem: 'its directory is not inside the file' });
    }
    await file.read(info.directoryOffset, bytes, options);
    const tables = new VmdkTables(file, path, info, sectorsIn(bytes));
    tables.#checkDirectory();
    return tables;
  }

  isEmpty(table: number): boolean {
    return this.#directory[table] === ABSENT;
  }

  async load(table: number): Promise<ClusterTable> {
    const bytes = new Uint8Array(TABLE_SECTORS * SECTOR);
    await this.#file.read(this.#directory[table]! * SECTOR, bytes);
    const packed = new Uint32Array(TABLE_ENTRIES);
    const first = table * TABLE_ENTRIES;
    const offsets = Float64Array.from(sectorsIn(bytes), (sector, i) => {
      if (sector === ABSENT || (first + i) * GRAIN >= this.size) return ABSENT;
      const room = this.#file.size - sector * SECTOR;
      const needed = this.#info.isCompressed ? GRAIN_MARKER_SIZE : this.#neededOf(first + i);
      if (sector * SECTOR < this.#info.overhead || room < needed)
        throw this.#damaged(first + i, 'is at no place of the file');
      if (this.#info.isCompressed) packed[i] = Math.min(PACKED_MAX, room);
      return sector * SECTOR;
    });
    return { offsets, packed };
  }

  unpack(grain: number, packed: Uint8Array): Uint8Array {
    const size = viewOf(packed).getUint32(vmdkMarker.fields.size.offset, true);
    const isOwn = viewOf(packed).getBigUint64(0, true) === BigInt(grain * GRAIN_SECTORS);
    if (!isOwn || size > packed.length - GRAIN_MARKER_SIZE)
      throw this.#damaged(grain, 'has a marker that is not its own');
    try {
      const bytes = packed.subarray(GRAIN_MARKER_SIZE, GRAIN_MARKER_SIZE + size);
      const content = decompress('zlib', bytes, GRAIN);
      if (content.length >= this.#neededOf(grain)) return content;
    } catch {
      // told below
    }
    throw this.#damaged(grain, 'cannot be decompressed');
  }

  #neededOf(grain: number): number {
    return Math.min(GRAIN, this.size - grain * GRAIN);
  }

  /** Each table once: a small file that names one a million times would be a million tables of work. */
  #checkDirectory(): void {
    const present = this.#directory.filter((sector) => sector !== ABSENT).sort();
    for (const [i, sector] of present.entries()) {
      const isPlace = (sector + TABLE_SECTORS) * SECTOR <= this.#file.size;
      if (isPlace && (i === 0 || sector - present[i - 1]! >= TABLE_SECTORS)) continue;
      const problem = `an entry of its directory, sector ${sector}, is no place of a table`;
      throw imageFaults.damaged({ path: this.#path, format: 'VMDK', problem });
    }
  }

  #damaged(grain: number, what: string): Error {
    return imageFaults.damaged({ path: this.#path, format: 'VMDK', problem: `grain ${grain} ${what}` });
  }
}

function sectorsIn(bytes: Uint8Array): Uint32Array {
  const view = viewOf(bytes);
  return Uint32Array.from({ length: bytes.length / ENTRY_SIZE }, (_, i) =>
    view.getUint32(i * ENTRY_SIZE, true),
  );
}
