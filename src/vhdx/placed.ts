/**
 * A new dynamic VHDX that is filled by others: `place` gives the next blocks of the file to the next blocks of the disk, the
 * caller's workers write into them by path, and `finish` makes the file a VHDX. Without it there is no signature, so an
 * interrupted run cannot be mistaken for an image.
 */
import { Mutex } from '../base/index.ts';
import { LocalFile, checkRange, type FileSpan, type PlacedWriter } from '../disk/index.ts';
import { BlockTableWriter } from './block-table-writer.ts';
import { metadataOf, type VhdxShapeOptions } from './create.ts';
import { vhdxFaults } from './faults.ts';
import { addSpan } from './file-span.ts';
import { layoutOf, writeTables, type Layout } from './layout.ts';

/** Creates the file. Faults: `VHDX_BAD_SHAPE`, `VHDX_FILE_EXISTS`, `DISK_NO_SPACE`. */
export async function createPlacedVhdx(path: string, options: VhdxShapeOptions): Promise<PlacedWriter> {
  const layout = layoutOf(metadataOf(options, 'dynamic'));
  const file = await LocalFile.create(path, vhdxFaults.fileExists);
  try {
    await file.extend(layout.payloadOffset);
  } catch (error) {
    await file.discard();
    throw error;
  }
  return new PlacedVhdx(file, layout);
}

class PlacedVhdx implements PlacedWriter {
  readonly path: string;
  readonly size: number;
  readonly #file: LocalFile;
  readonly #layout: Layout;
  readonly #table: BlockTableWriter;
  readonly #order = new Mutex();
  #lastBlock = -1;
  #lastBlockOffset = 0;
  #fileEnd: number;
  #reached = 0;

  constructor(file: LocalFile, layout: Layout) {
    this.path = file.path;
    this.size = layout.metadata.size;
    this.#file = file;
    this.#layout = layout;
    this.#table = new BlockTableWriter(file, layout);
    this.#fileEnd = layout.payloadOffset;
  }

  /** Calls may be made without waiting for each other; they are served in order. */
  place(offset: number, length: number): Promise<FileSpan[]> {
    return this.#order.run(() => this.#place(offset, length));
  }

  async #place(offset: number, length: number): Promise<FileSpan[]> {
    checkRange(offset, length, this.size);
    if (offset < this.#reached) throw vhdxFaults.placeOutOfOrder({ offset, reached: this.#reached });
    const { blockSize } = this.#layout.geometry;
    const spans: FileSpan[] = [];
    for (let at = offset; at < offset + length;) {
      const block = Math.floor(at / blockSize);
      const end = Math.min(offset + length, (block + 1) * blockSize);
      addSpan(spans, (await this.#blockOffset(block)) + at - block * blockSize, end - at);
      at = end;
    }
    this.#reached = offset + length;
    return spans;
  }

  async #blockOffset(block: number): Promise<number> {
    if (block !== this.#lastBlock) {
      this.#lastBlock = block;
      this.#lastBlockOffset = this.#fileEnd;
      this.#fileEnd += this.#layout.geometry.blockSize;
      const written = this.#table.place(block, this.#lastBlockOffset);
      if (written) await written;
    }
    return this.#lastBlockOffset;
  }

  finish(): Promise<void> {
    return this.#order.run(async () => {
      await this.#table.finish();
      await this.#file.extend(this.#fileEnd);
      await writeTables(this.#file, this.#layout);
      await this.#file.close();
    });
  }

  abort(): Promise<void> {
    return this.#order.run(() => this.#file.discard());
  }
}
