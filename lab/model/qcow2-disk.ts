/**
 * A qcow2 image as far as a judge of restored disks needs it: read-only, no backing file, nothing compressed. It shares no
 * code with what writes the images.
 *
 *   L1 entry (8 bytes, per 512 MiB at 64 KiB clusters) ─► L2 table, one cluster of entries ─► cluster of data
 *
 * Source: the QEMU project's docs/interop/qcow2. Numbers are big-endian; bits 9 to 55 of an entry are a file offset.
 */
import { checkRange, FileReader, type Disk } from '../../src/disk/index.ts';
import { coalesce, type Extent, type ExtentStream } from '../../src/extents/index.ts';
import { LabFailure } from './failure.ts';
import { RETURN } from './return-codes.ts';

const MAGIC = 0x514649fb;
const HEADER_SIZE = 72;
const ENTRY_SIZE = 8;
const OFFSET_BITS = 0x00fffffffffffe00n;
const COMPRESSED = 1n << 62n;
const READS_AS_ZERO = 1n;

export class Qcow2Disk implements Disk {
  readonly size: number;
  readonly logicalSectorSize = 512;
  readonly #file: FileReader;
  readonly #clusterSize: number;
  readonly #l1: DataView;
  #table: { readonly region: number; readonly entries: DataView | undefined } | undefined;

  private constructor(file: FileReader, size: number, clusterSize: number, l1: DataView) {
    this.#file = file;
    this.size = size;
    this.#clusterSize = clusterSize;
    this.#l1 = l1;
  }

  static async open(path: string): Promise<Qcow2Disk> {
    const file = await FileReader.open(path);
    try {
      const header = await viewOf(file, 0, HEADER_SIZE);
      if (header.getUint32(0) !== MAGIC || header.getBigUint64(8) !== 0n || header.getUint32(32) !== 0) {
        throw new LabFailure(RETURN.invalidParameter, `${path} is no qcow2 image without backing file`);
      }
      const l1 = await viewOf(file, Number(header.getBigUint64(40)), header.getUint32(36) * ENTRY_SIZE);
      return new Qcow2Disk(file, Number(header.getBigUint64(24)), 2 ** header.getUint32(20), l1);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(offset, into.length, this.size);
    into.fill(0);
    for await (const { fileOffset, ...data } of this.#data({ offset, length: into.length })) {
      const from = data.offset - offset;
      await this.#file.read(fileOffset, into.subarray(from, from + data.length));
    }
  }

  allocated(within: Extent = { offset: 0, length: this.size }): ExtentStream {
    return coalesce(this.#data(within));
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** The parts of a range that lie in clusters, and where; at most one cluster each. */
  async *#data({ offset, length }: Extent): AsyncGenerator<Extent & { fileOffset: number }> {
    for (let at = offset; at < offset + length;) {
      const inCluster = at % this.#clusterSize;
      const end = Math.min(offset + length, at - inCluster + this.#clusterSize);
      const cluster = await this.#cluster(Math.floor(at / this.#clusterSize));
      if (cluster !== undefined) yield { offset: at, length: end - at, fileOffset: cluster + inCluster };
      at = end;
    }
  }

  async #cluster(index: number): Promise<number | undefined> {
    const perTable = this.#clusterSize / ENTRY_SIZE;
    const entries = await this.#l2(Math.floor(index / perTable));
    const entry = entries?.getBigUint64((index % perTable) * ENTRY_SIZE) ?? 0n;
    if (entry & COMPRESSED) throw new LabFailure(RETURN.notSupported, 'a compressed cluster');
    const fileOffset = Number(entry & OFFSET_BITS);
    return fileOffset === 0 || entry & READS_AS_ZERO ? undefined : fileOffset;
  }

  /** The present table is kept: a comparison goes from the start of the disk to its end. */
  async #l2(region: number): Promise<DataView | undefined> {
    if (this.#table?.region !== region) {
      const at = Number(this.#l1.getBigUint64(region * ENTRY_SIZE) & OFFSET_BITS);
      const entries = at === 0 ? undefined : await viewOf(this.#file, at, this.#clusterSize);
      this.#table = { region, entries };
    }
    return this.#table.entries;
  }
}

async function viewOf(file: FileReader, offset: number, length: number): Promise<DataView> {
  const bytes = new Uint8Array(length);
  await file.read(offset, bytes);
  return new DataView(bytes.buffer);
}
