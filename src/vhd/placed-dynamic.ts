/** A new dynamic disk: the next blocks of the file go to the next blocks of the disk that hold anything. */
import { Mutex } from '../base/index.ts';
import { checkRange, type FileSpan, type LocalFile, type PlacedWriter } from '../disk/index.ts';
import { nextBlockPlace } from './block-place.ts';
import { newDynamicHeader } from './dynamic-header.ts';
import { vhdFaults } from './faults.ts';
import { newFooter } from './footer.ts';
import { SECTOR, bitmapSizeOf, dynamicHeader, footer } from './format.ts';

const TABLE_OFFSET = footer.size + dynamicHeader.size;

export class PlacedDynamic implements PlacedWriter {
  readonly path: string;
  readonly size: number;
  readonly #file: LocalFile;
  readonly #blockSize: number;
  readonly #uniqueId: string;
  /** As in the file; 4 MiB for the largest disk. Entries never set say that there is no block. */
  readonly #table: Buffer;
  readonly #fullBitmap: Uint8Array;
  readonly #order = new Mutex();
  #lastBlock = -1;
  #lastDataOffset = 0;
  #fileEnd: number;
  #reached = 0;

  constructor(file: LocalFile, options: { size: number; uniqueId: string; blockSize: number }) {
    this.path = file.path;
    this.size = options.size;
    this.#file = file;
    this.#blockSize = options.blockSize;
    this.#uniqueId = options.uniqueId;
    // Whole sectors: readers that take the table by sectors find no block in what is behind the last entry.
    this.#table = Buffer.alloc(Math.ceil((this.#blocks * 4) / SECTOR) * SECTOR, 0xff);
    this.#fullBitmap = new Uint8Array(bitmapSizeOf(options.blockSize)).fill(0xff);
    this.#fileEnd = TABLE_OFFSET + this.#table.length;
  }

  get #blocks(): number {
    return Math.ceil(this.size / this.#blockSize);
  }

  /** Calls may be made without waiting for each other; they are served in order. */
  place(offset: number, length: number): Promise<FileSpan[]> {
    return this.#order.run(() => this.#place(offset, length));
  }

  async #place(offset: number, length: number): Promise<FileSpan[]> {
    checkRange(offset, length, this.size);
    if (offset < this.#reached) throw vhdFaults.placeOutOfOrder({ offset, reached: this.#reached });
    const spans: FileSpan[] = [];
    for (let at = offset; at < offset + length;) {
      const block = Math.floor(at / this.#blockSize);
      const end = Math.min(offset + length, (block + 1) * this.#blockSize);
      const fileOffset = (await this.#dataOffset(block)) + at - block * this.#blockSize;
      spans.push({ fileOffset, length: end - at });
      at = end;
    }
    this.#reached = offset + length;
    return spans;
  }

  async #dataOffset(block: number): Promise<number> {
    if (block !== this.#lastBlock) {
      const place = nextBlockPlace(this.#fileEnd, this.#blockSize);
      await this.#file.write(place.bitmapOffset, this.#fullBitmap);
      this.#table.writeUInt32BE(place.sector, block * 4);
      this.#lastBlock = block;
      this.#lastDataOffset = place.dataOffset;
      this.#fileEnd = place.end;
    }
    return this.#lastDataOffset;
  }

  finish(): Promise<void> {
    return this.#order.run(async () => {
      await this.#file.extend(this.#fileEnd);
      await this.#file.write(footer.size, newDynamicHeader(TABLE_OFFSET, this.#blocks, this.#blockSize));
      await this.#file.write(TABLE_OFFSET, this.#table);
      await this.#file.sync();
      const bytes = newFooter('dynamic', this.size, this.#uniqueId);
      await this.#file.write(this.#fileEnd, bytes);
      await this.#file.write(0, bytes);
      await this.#file.sync();
      await this.#file.close();
    });
  }

  abort(): Promise<void> {
    return this.#order.run(() => this.#file.discard());
  }
}
