/**
 * Memory for answers to reads, used again once the system has taken it: a new buffer for each of ten thousand reads a second keeps
 * the garbage collector busier than the reads.
 *
 *   │ room for a header, written last │ what is read │ unused
 *   0                                 64
 */
/** In front of what is read: more than any header takes, and a multiple of what memory is aligned to. */
export const HEADROOM = 64;
/** Nothing larger is kept: a whole answer of 32 MiB is rare, and a megabyte is what most are cut to. */
const KEPT_LENGTH_MAX = 1024 * 1024;
const LENGTH_MIN = 4096;

export class ReplyBuffers {
  readonly #keptBytesMax: number;
  /** By their room for what is read: powers of two. */
  readonly #kept = new Map<number, Buffer[]>();
  #keptBytes = 0;

  constructor(keptBytesMax: number) {
    this.#keptBytesMax = keptBytesMax;
  }

  /** Room for a header and at least `length` bytes; what is in it is anybody's. */
  take(length: number): Buffer {
    const room = roomFor(length);
    const used = this.#kept.get(room)?.pop();
    if (!used) return Buffer.allocUnsafeSlow(HEADROOM + room);
    this.#keptBytes -= used.length;
    return used;
  }

  /** Of {@link take}; nobody looks at it any more. */
  give(buffer: Buffer): void {
    const room = buffer.length - HEADROOM;
    if (room > KEPT_LENGTH_MAX || this.#keptBytes + buffer.length > this.#keptBytesMax) return;
    this.#keptBytes += buffer.length;
    const alike = this.#kept.get(room);
    if (alike) alike.push(buffer);
    else this.#kept.set(room, [buffer]);
  }
}

function roomFor(length: number): number {
  if (length > KEPT_LENGTH_MAX) return length;
  return Math.max(LENGTH_MIN, 2 ** Math.ceil(Math.log2(length)));
}
