/** A new fixed disk: byte n of the disk is byte n of the file, and the footer comes behind it. */
import { checkRange, type FileSpan, type LocalFile, type PlacedWriter } from '../disk/index.ts';
import { vhdFaults } from './faults.ts';
import { newFooter } from './footer.ts';

export class PlacedFixed implements PlacedWriter {
  readonly path: string;
  readonly size: number;
  readonly isFlat = true;
  readonly #file: LocalFile;
  readonly #uniqueId: string;
  #reached = 0;

  constructor(file: LocalFile, options: { size: number; uniqueId: string }) {
    this.path = file.path;
    this.size = options.size;
    this.#file = file;
    this.#uniqueId = options.uniqueId;
  }

  place(offset: number, length: number): FileSpan[] {
    checkRange(offset, length, this.size);
    if (offset < this.#reached) throw vhdFaults.placeOutOfOrder({ offset, reached: this.#reached });
    this.#reached = offset + length;
    return length > 0 ? [{ fileOffset: offset, length }] : [];
  }

  async finish(): Promise<void> {
    await this.#file.extend(this.size);
    await this.#file.sync();
    await this.#file.write(this.size, newFooter('fixed', this.size, this.#uniqueId));
    await this.#file.sync();
    await this.#file.close();
  }

  abort(): Promise<void> {
    return this.#file.discard();
  }
}
