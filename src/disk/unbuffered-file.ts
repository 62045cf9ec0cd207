/**
 * Writing past the page cache (O_DIRECT). An image that is made durable goes to its disk anyway: by way of the cache every byte
 * is copied once more into fresh pages, which costs as much processor time as decrypting and hashing it, and pushes out what
 * others keep there.
 *
 * Only where it is known to be no slower: on the file systems named below. A network file system answers such a write when
 * its server did, one after the other; btrfs and ZFS take it, and copy all the same.
 */
import { closeSync, constants, openSync, statfsSync, writeSync } from 'node:fs';
import { KiB, MiB, copyBytes } from '../base/index.ts';
import { PAGE, alignedBytes, isAligned } from './aligned-bytes.ts';

/** linux/magic.h: ext2 to ext4, XFS. */
const FILE_SYSTEMS: readonly number[] = [0xef53, 0x58465342];
/** Each write waits for the disk: of smaller ones the waiting costs more than the copy. */
const LENGTH_MIN = 256 * KiB;

export class UnbufferedFile {
  readonly #fd: number;
  #refused = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** `undefined` where the system or the file system of `path` is none of those it is good for. */
  static open(path: string): UnbufferedFile | undefined {
    if (process.platform !== 'linux') return undefined;
    try {
      if (!FILE_SYSTEMS.includes(statfsSync(path).type) || !isAligned(desk())) return undefined;
      return new UnbufferedFile(openSync(path, constants.O_WRONLY | constants.O_DIRECT));
    } catch {
      return undefined; // whoever writes the usual way learns why, if there is anything to learn
    }
  }

  /**
   * How many of the first of `bytes` were written; the others are for the page cache. Bytes of {@link alignedBytes} go as they
   * lie, others by way of a desk of the thread. Throws what the system answers.
   */
  write(position: number, bytes: Uint8Array): number {
    // Places in the file and lengths: multiples of a page, which is one of the sector of any disk.
    const length = bytes.length - (bytes.length % PAGE);
    if (this.#refused || position % PAGE !== 0 || length < LENGTH_MIN) return 0;
    if (isAligned(bytes)) return this.#writePages(bytes.subarray(0, length), position);
    let done = 0;
    while (done < length) {
      const piece = desk().subarray(0, Math.min(desk().length, length - done));
      copyBytes(bytes.subarray(done, done + piece.length), piece);
      const written = this.#writePages(piece, position + done);
      done += written;
      if (written < piece.length) break;
    }
    return done;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** A disk of larger sectors, or a file system that only seemed to know how, says so at the first write. */
  #writePages(pages: Uint8Array, position: number): number {
    try {
      const written = writeSync(this.#fd, pages, 0, pages.length, position);
      return written - (written % PAGE);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
      this.#refused = true;
      return 0;
    }
  }
}

let kept: Uint8Array | undefined;

/** Of this thread. */
function desk(): Uint8Array {
  kept ??= alignedBytes(MiB);
  return kept;
}
