/**
 * The work that costs processor time, as synchronous functions: workers run them, and so does the main thread when there
 * are no workers. A job names a shared buffer or a file; bytes of disks are never copied between threads.
 *
 *   hash     zero test of each cell, ids of what has to be stored
 *   encode   compression and sealing of what proved to be new
 *   read     objects out of packs: verified, and written to their places in an image
 */
import { isZero } from '../base/index.ts';
import { bytesOf, runsOf, type Run } from './cell-mask.ts';
import { CELLS, SLOT_BYTES } from './format.ts';
import { ObjectExtractor, type ReadJob, type ReadReply } from './extract.ts';
import type { ObjectKeys } from './keys.ts';
import { OVERHEAD_BYTES, ObjectCodec } from './object.ts';

export interface HashJob {
  readonly type: 'hash';
  /** See {@link SLOT_BUFFER_BYTES}. */
  readonly buffer: SharedArrayBuffer;
  /** Cells to look at, one bit each. */
  readonly dirty: number;
  /** Bytes of the slot: less than 1 MiB for the last one of a disk. */
  readonly length: number;
  /** The whole slot is in the buffer and its entry is written anew: see {@link runsOf}. */
  readonly whole: boolean;
}

export interface HashReply {
  /** Which of the cells looked at hold only zeros. */
  readonly zeros: number;
  readonly runs: readonly (Run & { readonly id: Uint8Array })[];
}

export interface EncodeJob {
  readonly type: 'encode';
  readonly buffer: SharedArrayBuffer;
  readonly length: number;
  readonly salt: Uint8Array;
  readonly runs: readonly (Run & { readonly id: Uint8Array })[];
}

export interface EncodeReply {
  /** Lengths of the sealed objects; they stand back to back from `SLOT_BYTES` on in the buffer. */
  readonly lengths: readonly number[];
}

export type Job = HashJob | EncodeJob | ReadJob;
export type ReplyOf<J extends Job> = J extends HashJob
  ? HashReply
  : J extends EncodeJob
    ? EncodeReply
    : ReadReply;

/** Content of a slot, and behind it room for it sealed in up to 16 pieces. */
export const SLOT_BUFFER_BYTES = 2 * SLOT_BYTES + CELLS * OVERHEAD_BYTES;

export class JobRunner {
  readonly #codec: ObjectCodec;
  readonly #extractor: ObjectExtractor;

  constructor(keys: ObjectKeys) {
    this.#codec = new ObjectCodec(keys);
    this.#extractor = new ObjectExtractor(this.#codec);
  }

  run<J extends Job>(job: J): ReplyOf<J> {
    return this.#run(job) as ReplyOf<J>;
  }

  /** Closes the files that `read` jobs opened. */
  close(): void {
    this.#extractor.close();
  }

  #run(job: Job): HashReply | EncodeReply | ReadReply {
    if (job.type === 'hash') return this.#hash(job);
    return job.type === 'encode' ? this.#encode(job) : this.#extractor.read(job);
  }

  #hash({ buffer, dirty, length, whole }: HashJob): HashReply {
    const slot = new Uint8Array(buffer, 0, length);
    let zeros = 0;
    for (let cell = 0; cell < CELLS; cell += 1) {
      if ((dirty >>> cell) & 1 && isZero(bytesOf(slot, { cell, count: 1 }))) zeros |= 1 << cell;
    }
    const runs = runsOf(dirty & ~zeros, length, whole).map((run) => ({
      ...run,
      id: new Uint8Array(this.#codec.idOf('data', bytesOf(slot, run))),
    }));
    return { zeros, runs };
  }

  #encode({ buffer, length, salt, runs }: EncodeJob): EncodeReply {
    const slot = new Uint8Array(buffer, 0, length);
    let at = SLOT_BYTES;
    const lengths = runs.map((run) => {
      const raw = bytesOf(slot, run);
      const sealed = this.#codec.sealInto(new Uint8Array(buffer, at), {
        kind: 'data',
        raw,
        id: run.id,
        salt,
      });
      at += sealed;
      return sealed;
    });
    return { lengths };
  }
}
