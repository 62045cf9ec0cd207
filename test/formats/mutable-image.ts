/** A disk file in memory that is changed for the time of one trial, and read as the host's files are. */
import { checkRange, type RangeReader } from '../../src/disk/index.ts';

export interface Patch {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Gives a structure of the image its checksum again. */
export type Seal = (bytes: Buffer) => Patch;

export interface ReadCount {
  reads: number;
  readBytes: number;
}

/** A file may become so much longer. */
const HEADROOM = 2 ** 21;

export class MutableImage {
  /** The file, and behind it zeros: `size` says where it ends. */
  readonly bytes: Buffer;
  readonly originalSize: number;
  size: number;
  #undo: Patch[] = [];

  constructor(file: Buffer) {
    this.bytes = Buffer.alloc(file.length + HEADROOM);
    file.copy(this.bytes);
    this.originalSize = file.length;
    this.size = file.length;
  }

  /** Patches first, then seals, so that a seal covers every patch. */
  apply(patches: readonly Patch[], seals: readonly Seal[]): void {
    for (const patch of patches) this.#write(patch);
    for (const seal of seals) this.#write(seal(this.bytes));
  }

  revert(): void {
    for (const { offset, bytes } of this.#undo.toReversed()) this.bytes.set(bytes, offset);
    this.#undo = [];
    this.size = this.originalSize;
  }

  #write({ offset, bytes }: Patch): void {
    const before = new Uint8Array(this.bytes.subarray(offset, offset + bytes.length));
    this.#undo.push({ offset, bytes: before });
    this.bytes.set(bytes, offset);
  }

  reader(count: ReadCount): RangeReader {
    const { bytes, size } = this;
    return {
      size,
      read(offset, into) {
        checkRange(offset, into.length, size);
        count.reads += 1;
        count.readBytes += into.length;
        bytes.copy(into, 0, offset, offset + into.length);
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
  }
}
