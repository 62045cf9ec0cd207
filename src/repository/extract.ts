/** Objects out of packs, in a worker: read, verify, and write what is not zeros to its places in a local file. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { isZero } from '../base/index.ts';
import { CELL_BYTES, type ObjectKind } from './format.ts';
import { HEADER_BYTES, ObjectProblem, type ObjectCodec } from './object.ts';

/** A run of the object's content that belongs into the target file. */
export interface Placement {
  readonly from: number;
  readonly length: number;
  readonly fileOffset: number;
}

export interface ReadObject {
  readonly kind: ObjectKind;
  readonly id: Uint8Array;
  /** Where header and stored bytes are: in a local file, or here. */
  readonly source: { readonly path: string; readonly offset: number; readonly length: number } | Uint8Array;
  readonly placements: readonly Placement[];
}

export interface ReadJob {
  readonly type: 'read';
  readonly objects: readonly ReadObject[];
  /** File to write to; none: objects are only verified. */
  readonly target?: string | undefined;
}

export interface ReadReply {
  readonly writtenBytes: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly problems: readonly { readonly index: number; readonly problem: string }[];
  /** Writing failed: nothing after it was done. */
  readonly failure?: { readonly code: string; readonly message: string };
}

/** Packs are read in order, so a few open ones suffice. */
const OPEN_FILES_MAX = 16;

export class ObjectExtractor {
  readonly #codec: ObjectCodec;
  readonly #files = new Map<string, number>();
  #target: { readonly path: string; readonly fd: number } | undefined;
  #buffer = Buffer.alloc(0);

  constructor(codec: ObjectCodec) {
    this.#codec = codec;
  }

  read({ objects, target }: ReadJob): ReadReply {
    const stats = { writtenBytes: 0, rawBytes: 0, storedBytes: 0 };
    const problems: { index: number; problem: string }[] = [];
    for (const [index, object] of objects.entries()) {
      try {
        this.#codec.withContent(this.#stored(object), object, (raw) => {
          stats.rawBytes += raw.length;
          stats.storedBytes += object.source.length;
          if (target !== undefined) stats.writtenBytes += this.#place(target, raw, object.placements);
        });
      } catch (error) {
        if (error instanceof WriteProblem) return { ...stats, problems, failure: error.failure };
        problems.push({ index, problem: problemOf(error) });
      }
    }
    return { ...stats, problems };
  }

  close(): void {
    for (const fd of this.#files.values()) closeSync(fd);
    this.#files.clear();
    if (this.#target) closeSync(this.#target.fd);
    this.#target = undefined;
  }

  #stored({ source }: ReadObject): Uint8Array {
    if (source instanceof Uint8Array) return source;
    if (this.#buffer.length < source.length)
      this.#buffer = Buffer.allocUnsafeSlow(source.length + HEADER_BYTES);
    const into = this.#buffer.subarray(0, source.length);
    const fd = this.#fileOf(source.path);
    for (let done = 0; done < into.length;) {
      const count = readSync(fd, into, done, into.length - done, source.offset + done);
      if (count === 0) throw new ObjectProblem('its pack is cut short');
      done += count;
    }
    return into;
  }

  #fileOf(path: string): number {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    if (this.#files.size >= OPEN_FILES_MAX) {
      const [oldest, fd] = this.#files.entries().next().value!;
      closeSync(fd);
      this.#files.delete(oldest);
    }
    const fd = openSync(path, 'r');
    this.#files.set(path, fd);
    return fd;
  }

  #place(target: string, raw: Uint8Array, placements: readonly Placement[]): number {
    try {
      const fd = this.#targetOf(target);
      let written = 0;
      for (const { from, length, fileOffset } of placements) {
        written += writeSparse(fd, raw.subarray(from, from + length), fileOffset);
      }
      return written;
    } catch (error) {
      throw new WriteProblem(error as NodeJS.ErrnoException);
    }
  }

  #targetOf(path: string): number {
    if (this.#target?.path !== path) {
      if (this.#target) closeSync(this.#target.fd);
      this.#target = { path, fd: openSync(path, 'r+') };
    }
    return this.#target.fd;
  }
}

/** Writes runs of cells that are not zeros: the target is fresh, so what is skipped reads as zeros and costs no space. */
function writeSparse(fd: number, bytes: Uint8Array, fileOffset: number): number {
  let written = 0;
  for (let at = 0; at < bytes.length;) {
    const start = at;
    while (at < bytes.length && !isZero(bytes.subarray(at, at + CELL_BYTES))) at += CELL_BYTES;
    const run = bytes.subarray(start, at);
    for (let done = 0; done < run.length;)
      done += writeSync(fd, run, done, run.length - done, fileOffset + start + done);
    written += run.length;
    while (at < bytes.length && isZero(bytes.subarray(at, at + CELL_BYTES))) at += CELL_BYTES;
  }
  return written;
}

class WriteProblem extends Error {
  readonly failure: { readonly code: string; readonly message: string };

  constructor({ code = 'UNKNOWN', message }: NodeJS.ErrnoException) {
    super(message);
    this.failure = { code, message };
  }
}

function problemOf(error: unknown): string {
  if (error instanceof ObjectProblem) return error.message;
  const { code, message } = error as NodeJS.ErrnoException;
  return `its pack cannot be read (${code ?? message})`;
}
