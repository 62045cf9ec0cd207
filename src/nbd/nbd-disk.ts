/**
 * An export of an NBD server as a disk: read, written, asked where its data is.
 *
 * Requests are cut to what the server takes in one message and sent together; the caller decides how many reads and writes it has
 * under way. Ranges need not fit the server's blocks: what is read is widened, what is written at the edges of a block is
 * read first.
 */
import { Mutex } from '../base/index.ts';
import { checkRange, InUse, type CallOptions, type Disk, type RangeWriter } from '../disk/index.ts';
import { coalesce, type Extent, type ExtentStream } from '../extents/index.ts';
import { piecesOf } from '../remote/index.ts';
import { parseNbdAddress, type NbdAddress } from './address.ts';
import { isNotSupported } from './connection.ts';
import { nbdFaults } from './faults.ts';
import { ALLOCATION_FLAG, COMMAND, EXPORT_FLAG } from './format.ts';
import { NbdLanes, type NbdOptions } from './lanes.ts';

/** What a connection that breaks again and again must deliver for a read to come to its end; larger ones are no faster. */
const PIECE_BYTES_MAX = 256 * 1024;
/** Ranges without data travel as numbers; what a server does in one go should still end within its answer timeout. */
const RANGE_BYTES_MAX = 1024 * 1024 * 1024;

export class NbdDisk implements Disk, RangeWriter {
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly #address: NbdAddress;
  readonly #lanes: NbdLanes;
  readonly #edges = new Mutex();
  readonly #use = new InUse();
  /** Zeros in one request; falls to the size of a message when the server takes no more. */
  #zeroBytesMax = RANGE_BYTES_MAX;

  private constructor(address: NbdAddress, lanes: NbdLanes) {
    this.#address = address;
    this.#lanes = lanes;
    this.size = lanes.info.size;
    this.logicalSectorSize = lanes.info.minimumBlock > 512 && this.size % 4096 === 0 ? 4096 : 512;
  }

  /**
   * Opens the export at `address` (see {@link parseNbdAddress}). Throws `NBD_ADDRESS_INVALID`, `NBD_UNREACHABLE`,
   * `NBD_TIMED_OUT`, `NBD_EXPORT_REFUSED`, `NBD_TLS_REFUSED`, `NBD_TLS_REQUIRED`, `NBD_PROTOCOL_BROKEN`, and the signal's reason.
   */
  static async open(address: string, options: NbdOptions & CallOptions = {}): Promise<NbdDisk> {
    const parsed = parseNbdAddress(address);
    return new NbdDisk(parsed, await NbdLanes.open(parsed, options, options));
  }

  get readOnly(): boolean {
    return this.#has(EXPORT_FLAG.readOnly);
  }

  /** Throws `NBD_IO_FAILED`, `NBD_CONNECTION_LOST` when the server stays away, and the signal's reason. */
  read(offset: number, into: Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.#inUse(offset, into.length, async () => {
      const { offset: from, length } = this.#widened(offset, into.length);
      if (into.length === 0) return;
      if (length === into.length) return this.#readPieces(offset, into, options);
      const wide = new Uint8Array(length);
      await this.#readPieces(from, wide, options);
      into.set(wide.subarray(offset - from, offset - from + into.length));
    });
  }

  /** Durable after {@link flush}. Throws `NBD_READ_ONLY`, `NBD_NO_SPACE`, and what `read` throws. */
  write(offset: number, bytes: Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.#change(offset, bytes.length, async () => {
      const { offset: from, length } = this.#widened(offset, bytes.length);
      if (bytes.length === 0) return;
      if (length === bytes.length) return this.#writePieces(offset, bytes, options);
      await this.#edges.run(async () => {
        const wide = new Uint8Array(length);
        await this.#readPieces(from, wide, options);
        wide.set(bytes, offset - from);
        await this.#writePieces(from, wide, options);
      });
    });
  }

  zero(offset: number, length: number, options: CallOptions = {}): Promise<void> {
    return this.#change(offset, length, async () => {
      const block = this.#lanes.info.minimumBlock;
      const first = Math.min(offset + length, Math.ceil(offset / block) * block);
      const last = Math.max(first, Math.floor((offset + length) / block) * block);
      await this.#writeZeros(offset, first - offset, options);
      await this.#zeroBlocks(first, last - first, options);
      await this.#writeZeros(last, offset + length - last, options);
    });
  }

  /**
   * What was written before survives a crash of the server, if it says that it can flush. Throws `NBD_WRITES_UNCERTAIN` when a
   * connection broke since the last flush: then write again what was written since.
   */
  flush(options: CallOptions = {}): Promise<void> {
    return this.#change(0, 0, async () => {
      if (this.#has(EXPORT_FLAG.sendFlush)) await this.#lanes.flush(options);
    });
  }

  /** A server that tells nothing of allocation may have data everywhere. */
  allocated(within: Extent = { offset: 0, length: this.size }, options: CallOptions = {}): ExtentStream {
    checkRange(within.offset, within.length, this.size);
    return this.#lanes.info.allocationContext === undefined
      ? [within]
      : coalesce(this.#data(within, options));
  }

  async close(): Promise<void> {
    if (await this.#use.end()) await this.#lanes.close();
  }

  async *#data(within: Extent, options: CallOptions): AsyncGenerator<Extent> {
    const end = within.offset + within.length;
    for (let at = within.offset; at < end;) {
      this.#use.check();
      const asked = this.#widened(at, Math.min(end - at, RANGE_BYTES_MAX));
      const runs = await this.#lanes.request({ command: COMMAND.blockStatus, ...asked }, options);
      let run = asked.offset;
      for (const { length, flags } of runs) {
        const from = Math.max(run, at);
        const to = Math.min(run + length, end);
        if (to > from && !(flags & ALLOCATION_FLAG.readsAsZero)) yield { offset: from, length: to - from };
        run += length;
      }
      at = Math.max(run, at + 1);
    }
  }

  async #readPieces(offset: number, into: Uint8Array, options: CallOptions): Promise<void> {
    const pieces = [...piecesOf(offset, into, this.#pieceBytes)];
    await this.#together(pieces, (piece) =>
      this.#lanes.request(
        { command: COMMAND.read, offset: piece.offset, length: piece.into.length, into: piece.into },
        options,
      ),
    );
  }

  async #writePieces(offset: number, bytes: Uint8Array, options: CallOptions): Promise<void> {
    const pieces = [...piecesOf(offset, bytes, this.#pieceBytes)];
    await this.#together(pieces, (piece) =>
      this.#lanes.request(
        { command: COMMAND.write, offset: piece.offset, length: piece.into.length, payload: piece.into },
        options,
      ),
    );
  }

  /** All are awaited before the first failure is thrown: until then the buffer is not the caller's again. */
  async #together<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
    const ends = await Promise.allSettled(items.map(work));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async #zeroBlocks(offset: number, length: number, options: CallOptions): Promise<void> {
    if (!this.#has(EXPORT_FLAG.sendWriteZeroes)) return this.#writeZeros(offset, length, options);
    for (let at = offset; at < offset + length;) {
      const count = Math.min(offset + length - at, this.#zeroBytesMax);
      try {
        await this.#lanes.request({ command: COMMAND.writeZeroes, offset: at, length: count }, options);
        at += count;
      } catch (error) {
        if (!isNotSupported(error) || count <= this.#pieceBytes) throw error;
        this.#zeroBytesMax = this.#pieceBytes;
      }
    }
  }

  /** Zeros as data: where the server knows no shorter way, and at the edges of blocks. */
  async #writeZeros(offset: number, length: number, options: CallOptions): Promise<void> {
    const zeros = new Uint8Array(Math.min(length, this.#pieceBytes));
    for (let done = 0; done < length; done += zeros.length) {
      const count = Math.min(zeros.length, length - done);
      await this.write(offset + done, zeros.subarray(0, count), options);
    }
  }

  get #pieceBytes(): number {
    return Math.min(PIECE_BYTES_MAX, this.#lanes.info.payloadBytesMax);
  }

  #has(flag: number): boolean {
    return (this.#lanes.info.flags & flag) !== 0;
  }

  /** A disk whose size is no multiple of its blocks ends in a part of one, which every server takes as it is. */
  #widened(offset: number, length: number): Extent {
    const block = this.#lanes.info.minimumBlock;
    const from = offset - (offset % block);
    const end = Math.min(this.size, Math.ceil((offset + length) / block) * block);
    return { offset: from, length: end - from };
  }

  #change(offset: number, length: number, work: () => Promise<void>): Promise<void> {
    if (this.readOnly) {
      const { exportName: name } = this.#address;
      return Promise.reject(nbdFaults.readOnly({ server: this.#lanes.server, name }));
    }
    return this.#inUse(offset, length, work);
  }

  #inUse(offset: number, length: number, work: () => Promise<void>): Promise<void> {
    return this.#use.run(async () => {
      checkRange(offset, length, this.size);
      await work();
    });
  }
}
