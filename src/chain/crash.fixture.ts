/**
 * Crashes: a file that remembers what was done to it, and the files that a power cut could leave.
 *
 * What was done before the last sync is there. Of what was done after it any part may be: each write whole, not at all, or
 * some of its sectors; the length of the file any it had meanwhile. So later writes may be there without earlier ones.
 */
import { MiB } from '../base/index.ts';
import { LocalFile, checkRange, type FileMedium, type RangeReader } from '../disk/index.ts';

export type FileOperation =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'resize'; readonly size: number }
  | { readonly kind: 'sync' }
  /** Not the file's: what the test did, so that a state knows what must be in it. */
  | { readonly kind: 'note'; readonly note: number };

/** Room for the files of these tests. */
const CAPACITY = 32 * MiB;

/** A file in memory that remembers every operation. */
export class Recorder {
  readonly operations: FileOperation[] = [];
  readonly #bytes = Buffer.alloc(CAPACITY);
  #size: number;

  constructor(image: Uint8Array) {
    this.#bytes.set(image);
    this.#size = image.length;
  }

  get image(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#size));
  }

  /** Its syncs fail while `syncsFail` says so. */
  open(path: string, syncsFail: () => boolean = () => false): LocalFile {
    const medium = {
      read: (into: Uint8Array, at: number, length: number, position: number) => {
        const end = Math.min(position + length, this.#size);
        return Promise.resolve({ bytesRead: this.#bytes.copy(into, at, position, end) });
      },
      write: (bytes: Uint8Array, at: number, length: number, position: number) => {
        this.#write(position, new Uint8Array(bytes.subarray(at, at + length)));
        return Promise.resolve({ bytesWritten: length });
      },
      truncate: (size: number) => {
        this.operations.push({ kind: 'resize', size });
        this.#size = size;
        return Promise.resolve();
      },
      datasync: () => {
        if (syncsFail()) return Promise.reject(new Error('the disk is gone'));
        this.operations.push({ kind: 'sync' });
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    };
    return new LocalFile(path, medium as unknown as FileMedium, this.#size);
  }

  note(note: number): void {
    this.operations.push({ kind: 'note', note });
  }

  #write(offset: number, bytes: Uint8Array): void {
    this.operations.push({ kind: 'write', offset, bytes });
    this.#bytes.set(bytes, offset);
    this.#size = Math.max(this.#size, offset + bytes.length);
  }
}

/** A file in memory, to be read. */
export class MemoryFile implements RangeReader {
  readonly size: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, size = bytes.length) {
    this.#bytes = bytes;
    this.size = size;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    checkRange(offset, into.length, this.size);
    into.set(this.#bytes.subarray(offset, offset + into.length));
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export interface CrashState {
  /** Operations done when the power went. */
  readonly done: number;
  /** Good until the next state is asked for. */
  readonly file: MemoryFile;
}

export interface CrashOptions {
  readonly sectorSize: 512 | 4096;
  /** States for each operation: all of it, nothing of it, and the rest by `random`. */
  readonly statesEach: number;
  /** In [0, 1). */
  readonly random: () => number;
}

type Write = Extract<FileOperation, { kind: 'write' }>;

/** The states after each operation that changed the file. */
export function* crashStates(
  image: Uint8Array,
  operations: readonly FileOperation[],
  options: CrashOptions,
): Generator<CrashState> {
  const disk = new CrashingDisk(image, options);
  for (const [index, operation] of operations.entries()) {
    if (operation.kind === 'note') continue;
    disk.do(operation);
    if (operation.kind === 'sync') continue;
    for (let n = 0; n < options.statesEach; n += 1) yield { done: index + 1, file: disk.crash(n) };
  }
}

class CrashingDisk {
  readonly #durable = new Uint8Array(CAPACITY);
  /** Equal to the durable bytes but for what the last crash kept of the others. */
  readonly #left = new Uint8Array(CAPACITY);
  readonly #options: CrashOptions;
  /** Every length since the last sync; the first is durable. */
  #sizes: number[];
  #unsynced: Write[] = [];

  constructor(image: Uint8Array, options: CrashOptions) {
    this.#durable.set(image);
    this.#left.set(image);
    this.#sizes = [image.length];
    this.#options = options;
  }

  do(operation: FileOperation): void {
    const size = this.#sizes.at(-1)!;
    if (operation.kind === 'resize') this.#sizes.push(operation.size);
    if (operation.kind === 'write') {
      this.#unsynced.push(operation);
      this.#sizes.push(Math.max(size, operation.offset + operation.bytes.length));
    }
    if (operation.kind === 'sync') this.#sync(size);
  }

  #sync(size: number): void {
    for (const { offset, bytes } of this.#unsynced) this.#durable.set(bytes, offset);
    this.#restore();
    this.#unsynced = [];
    this.#sizes = [size];
  }

  /** Crash 0 keeps everything, crash 1 nothing, every other a part of its own. */
  crash(n: number): MemoryFile {
    const { random } = this.#options;
    this.#restore();
    for (const write of this.#unsynced) this.#keep(write, survival(random, n));
    const which = n === 0 ? this.#sizes.length - 1 : n === 1 ? 0 : Math.floor(random() * this.#sizes.length);
    return new MemoryFile(this.#left, this.#sizes[which]);
  }

  #restore(): void {
    for (const { offset, bytes } of this.#unsynced) {
      this.#left.set(this.#durable.subarray(offset, offset + bytes.length), offset);
    }
  }

  /** A disk keeps or loses whole sectors of its own. */
  #keep({ offset, bytes }: Write, survives: () => boolean): void {
    const { sectorSize } = this.#options;
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, (Math.floor((offset + at) / sectorSize) + 1) * sectorSize - offset);
      if (survives()) this.#left.set(bytes.subarray(at, end), offset + at);
      at = end;
    }
  }
}

/** Of one write: whether its next sector is on disk. */
function survival(random: () => number, n: number): () => boolean {
  if (n < 2) return () => n === 0;
  const kind = Math.floor(random() * 3);
  return kind < 2 ? () => kind === 0 : () => random() < 0.5;
}
