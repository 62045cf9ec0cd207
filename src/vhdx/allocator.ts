/** Room for new blocks: gaps that earlier sessions left, blocks released and flushed in this one, else the file's end. */
import { MiB } from '../base/index.ts';
import type { LocalFile } from '../disk/index.ts';
import type { FileSpace } from './file-space.ts';

export interface Room {
  readonly fileOffset: number;
  /** False where older bytes may lie. */
  readonly zeroed: boolean;
}

export class Allocator {
  readonly #file: LocalFile;
  readonly #blockSize: number;
  readonly #gaps: Iterator<number>;
  #free: number[] = [];
  /** Released, but the table on disk still names them: reused only after a flush. */
  #released: number[] = [];

  constructor(file: LocalFile, space: FileSpace, blockSize: number) {
    this.#file = file;
    this.#blockSize = blockSize;
    this.#gaps = space.gaps(blockSize, file.size);
  }

  /** Room for one payload block. */
  async block(): Promise<Room> {
    const free = this.#free.pop() ?? this.#gap();
    return free === undefined ? this.append(this.#blockSize) : { fileOffset: free, zeroed: false };
  }

  /** Room of `length` bytes at the end of the file. */
  async append(length: number): Promise<Room> {
    const fileOffset = Math.ceil(this.#file.size / MiB) * MiB;
    await this.#file.extend(fileOffset + length);
    return { fileOffset, zeroed: true };
  }

  release(fileOffset: number): void {
    this.#released.push(fileOffset);
  }

  /** The table on disk no longer names what was released before. */
  flushed(): void {
    this.#free = this.#free.concat(this.#released);
    this.#released = [];
  }

  #gap(): number | undefined {
    const next = this.#gaps.next();
    return next.done === true ? undefined : next.value;
  }
}
