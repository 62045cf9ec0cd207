/**
 * Local files in a worker thread: positional, never short, and synchronous, because such a thread has nothing else to do and
 * a promise a piece costs more than the piece. The main thread never uses these.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { KiB, isZero } from '../base/index.ts';
import { diskFaults } from './faults.ts';
import { localFileFault } from './local-file.ts';
import type { LocalFileId } from './ports.ts';
import { UnbufferedFile } from './unbuffered-file.ts';

/** Files are read one after the other, and layers of a chain side by side: a few open ones suffice. */
const OPEN_FILES_MAX = 32;
/** What is tested for zeros at once, and left out as a hole. */
const CELL = 64 * KiB;

export class BlockingReader {
  /** Least recently used first. */
  readonly #open = new Map<string, number>();

  /** Fills `into` with the bytes at `position`. Throws `DISK_TRUNCATED`, `DISK_REPLACED`, `DISK_IO_FAILED`. */
  read(file: LocalFileId, position: number, into: Uint8Array): void {
    const fd = this.#descriptorOf(file);
    for (let done = 0; done < into.length;) {
      const count = attempt(file.path, () => readSync(fd, into, done, into.length - done, position + done));
      if (count === 0) {
        const missing = into.length - done;
        throw diskFaults.truncated({ path: file.path, end: position + done, missing });
      }
      done += count;
    }
  }

  close(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #descriptorOf(file: LocalFileId): number {
    const key = `${file.identity?.device}:${file.identity?.inode}:${file.path}`;
    const fd = this.#open.get(key) ?? openSame(file);
    this.#open.delete(key);
    this.#open.set(key, fd);
    if (this.#open.size > OPEN_FILES_MAX) this.#closeOldest();
    return fd;
  }

  #closeOldest(): void {
    const [key, fd] = this.#open.entries().next().value!;
    closeSync(fd);
    this.#open.delete(key);
  }
}

function openSame({ path, identity }: LocalFileId): number {
  const fd = attempt(path, () => openSync(path, 'r'));
  if (!identity) return fd;
  const { dev, ino } = fstatSync(fd);
  if (dev === identity.device && ino === identity.inode) return fd;
  closeSync(fd);
  throw diskFaults.replaced({ path });
}

export interface WriteOptions {
  /** The file is made durable before anybody reads it: its bytes need not pass through the page cache. */
  readonly durable: boolean;
}

interface OpenTarget {
  readonly path: string;
  readonly fd: number;
  readonly unbuffered: UnbufferedFile | undefined;
}

/** Writes into one file at a time; the file is there already. */
export class BlockingWriter {
  #target: OpenTarget | undefined;

  /**
   * Writes what is not zeros, in cells of 64 KiB: the target is fresh, so what is left out reads as zeros and takes no room.
   * Returns the bytes written. Throws `DISK_NO_SPACE`, `DISK_IO_FAILED`.
   */
  writeSparse(path: string, position: number, bytes: Uint8Array, options: WriteOptions): number {
    let written = 0;
    for (const { offset, length } of dataRuns(bytes)) {
      this.#write(path, position + offset, bytes.subarray(offset, offset + length), options);
      written += length;
    }
    return written;
  }

  close(): void {
    if (!this.#target) return;
    closeSync(this.#target.fd);
    this.#target.unbuffered?.close();
    this.#target = undefined;
  }

  #write(path: string, position: number, bytes: Uint8Array, { durable }: WriteOptions): void {
    const { fd, unbuffered } = this.#open(path, durable);
    let done = attempt(path, () => unbuffered?.write(position, bytes) ?? 0);
    while (done < bytes.length) {
      done += attempt(path, () => writeSync(fd, bytes, done, bytes.length - done, position + done));
    }
  }

  #open(path: string, durable: boolean): OpenTarget {
    if (this.#target?.path === path) return this.#target;
    this.close();
    const fd = attempt(path, () => openSync(path, 'r+'));
    this.#target = { path, fd, unbuffered: durable ? UnbufferedFile.open(path) : undefined };
    return this.#target;
  }
}

/** The runs of cells of `bytes` that are not zeros. */
export function dataRuns(bytes: Uint8Array): { offset: number; length: number }[] {
  const runs: { offset: number; length: number }[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at;
    while (at < bytes.length && !isZero(bytes.subarray(at, at + CELL))) at += CELL;
    const end = Math.min(at, bytes.length);
    if (end > start) runs.push({ offset: start, length: end - start });
    while (at < bytes.length && isZero(bytes.subarray(at, at + CELL))) at += CELL;
  }
  return runs;
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw localFileFault(path, error);
  }
}
