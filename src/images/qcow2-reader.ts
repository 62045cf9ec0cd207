/**
 * A qcow2 image, read: version 3, clusters plain, compressed or of zeros, over no backing file or a raw one. That is what is
 * written here, and what `qemu-img` makes by default. What else the format has is refused by name; what contradicts itself
 * is damage. Reference counts are not looked at: they say what may be overwritten, not what is there.
 */
import { viewOf } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { ABSENT, type ClusterTable, type ClusterTables } from './cluster-layer.ts';
import { decompress, type Codec } from './codec.ts';
import { imageFaults } from './faults.ts';
import { ENTRY_SIZE } from './format.ts';
import { ImageDisk } from './image-disk.ts';
import { decodeL2, l1Offset } from './qcow2-entries.ts';
import { readQcow2Header, type NamedBacking, type Qcow2Info } from './qcow2-info.ts';

export interface OpenQcow2Options extends CallOptions {
  readonly open: (path: string) => Promise<RangeReader>;
  /**
   * Opens the raw file that the image says it stands on, which it names as QEMU would open it: whoever made the image chose the
   * name. Left out, an image with a backing file is refused.
   */
  readonly openBacking?: (named: NamedBacking) => Promise<RangeReader>;
}

/** Faults: `IMAGE_DAMAGED`, `IMAGE_UNREAD`; what `open` throws passes through. Memory: L1 table, and up to 32 MiB of L2 tables. */
export async function openQcow2(path: string, options: OpenQcow2Options): Promise<ImageDisk> {
  const file = await options.open(path);
  try {
    const info = await readQcow2Header(file, path, options);
    const tables = await Qcow2Tables.open(file, path, info, options);
    return new ImageDisk(file, tables, info.backing && (await openBacking(path, info.backing, options)));
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openBacking(
  path: string,
  backing: NamedBacking,
  options: OpenQcow2Options,
): Promise<RangeReader> {
  const unread = (feature: string): Error => imageFaults.unread({ path, format: 'qcow2', feature });
  if (!options.openBacking) throw unread(`the backing file ${backing.path}`);
  if (backing.format !== 'raw')
    throw unread(`a backing file of the format ${backing.format ?? 'nobody said'}`);
  return options.openBacking(backing);
}

class Qcow2Tables implements ClusterTables {
  readonly size: number;
  readonly clusterSize: number;
  readonly clustersPerTable: number;
  readonly tables: number;
  readonly #file: RangeReader;
  readonly #path: string;
  readonly #compression: Codec['name'];
  readonly #l1: Float64Array;

  private constructor(file: RangeReader, path: string, info: Qcow2Info, l1: Float64Array) {
    this.size = info.geometry.size;
    this.clusterSize = info.geometry.clusterSize;
    this.clustersPerTable = info.geometry.regionClusters;
    this.tables = info.geometry.regions;
    this.#file = file;
    this.#path = path;
    this.#compression = info.compression;
    this.#l1 = l1;
  }

  static async open(
    file: RangeReader,
    path: string,
    info: Qcow2Info,
    options: CallOptions,
  ): Promise<Qcow2Tables> {
    const bytes = new Uint8Array(info.geometry.regions * ENTRY_SIZE);
    await file.read(info.l1Offset, bytes, options);
    const view = viewOf(bytes);
    const l1 = Float64Array.from({ length: info.geometry.regions }, (_, i) => l1Offset(view, i));
    const tables = new Qcow2Tables(file, path, info, l1);
    tables.#checkL1();
    return tables;
  }

  isEmpty(table: number): boolean {
    return this.#l1[table] === ABSENT;
  }

  async load(table: number): Promise<ClusterTable> {
    const bytes = new Uint8Array(this.clusterSize);
    await this.#file.read(this.#l1[table]!, bytes);
    const decoded = decodeL2(bytes, { size: this.clusterSize, fileSize: this.#file.size });
    const first = table * this.clustersPerTable;
    const count = Math.min(this.clustersPerTable, Math.ceil(this.size / this.clusterSize) - first);
    for (let i = 0; i < count; i += 1) {
      if (Number.isNaN(decoded.offsets[i]))
        throw this.#damaged(`the entry of cluster ${first + i} is impossible`);
    }
    return decoded;
  }

  unpack(cluster: number, packed: Uint8Array): Uint8Array {
    const needed = Math.min(this.clusterSize, this.size - cluster * this.clusterSize);
    try {
      const content = decompress(this.#compression, packed, this.clusterSize);
      if (content.length >= needed) return content;
    } catch {
      // told below
    }
    throw this.#damaged(`cluster ${cluster} cannot be decompressed`);
  }

  /** Each table once: a small file that names one a million times would be a million tables of work. */
  #checkL1(): void {
    const present = this.#l1.filter((offset) => offset !== ABSENT).sort();
    for (const [i, offset] of present.entries()) {
      const isPlace = offset % this.clusterSize === 0 && offset + this.clusterSize <= this.#file.size;
      if (!isPlace) throw this.#damaged('an entry of the L1 table is impossible');
      if (i > 0 && present[i - 1] === offset)
        throw this.#damaged(`two entries of the L1 table name ${offset}`);
    }
  }

  #damaged(problem: string): Error {
    return imageFaults.damaged({ path: this.#path, format: 'qcow2', problem });
  }
}
