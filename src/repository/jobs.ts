/**
 * The work that costs processor time, as synchronous functions: workers run them, and so does the main thread when there
 * are no workers. A job names a shared buffer or a file; bytes of disks are never copied between threads.
 *
 *   hash     zero test of each cell, ids of what has to be stored
 *   encode   compression and sealing of what proved to be new
 *   read     objects out of packs: verified, and written to their places in an image
 *   open     one object out of a pack: verified, its content moved to who asked
 */
import { isZero, workerUrl } from '../base/index.ts';
import { WorkerPool, type JobHandlers } from '../workers/index.ts';
import { bytesOf, runsOf, type Run } from './cell-mask.ts';
import { CELLS, SLOT_BYTES } from './format.ts';
import { ObjectExtractor, type OpenReply, type ReadJob, type ReadObject, type ReadReply } from './extract.ts';
import type { ObjectKeys } from './keys.ts';
import { OVERHEAD_BYTES, ObjectCodec } from './object.ts';

export interface HashJob {
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
  readonly buffer: SharedArrayBuffer;
  readonly length: number;
  readonly salt: Uint8Array;
  readonly runs: readonly (Run & { readonly id: Uint8Array })[];
}

export interface EncodeReply {
  /** Lengths of the sealed objects; they stand back to back from `SLOT_BYTES` on in the buffer. */
  readonly lengths: readonly number[];
}

export type RepositoryJobs = {
  hash: { job: HashJob; reply: HashReply };
  encode: { job: EncodeJob; reply: EncodeReply };
  read: { job: ReadJob; reply: ReadReply };
  open: { job: ReadObject; reply: OpenReply };
};

export type RepositoryPool = WorkerPool<RepositoryJobs>;

/** `workers`: threads at most; 0: none; default: one a processor. */
export function repositoryPool(keys: ObjectKeys, workers?: number): RepositoryPool {
  return new WorkerPool({
    script: workerUrl('./worker', import.meta.url),
    workerData: keys,
    workers,
    inline: () => repositoryHandlers(keys),
  });
}

export function repositoryHandlers(keys: ObjectKeys): JobHandlers<RepositoryJobs> {
  const codec = new ObjectCodec(keys);
  const extractor = new ObjectExtractor(codec);
  return {
    jobs: {
      hash: (job) => hash(job, codec),
      encode: (job) => encode(job, codec),
      read: (job) => extractor.read(job),
      open: (job) => extractor.open(job),
    },
    moved: (reply) => ('raw' in reply && reply.raw ? [reply.raw] : []),
    close: () => extractor.close(),
  };
}

/** Content of a slot, and behind it room for it sealed in up to 16 pieces. */
export const SLOT_BUFFER_BYTES = 2 * SLOT_BYTES + CELLS * OVERHEAD_BYTES;

function hash({ buffer, dirty, length, whole }: HashJob, codec: ObjectCodec): HashReply {
  const slot = new Uint8Array(buffer, 0, length);
  let zeros = 0;
  for (let cell = 0; cell < CELLS; cell += 1) {
    if ((dirty >>> cell) & 1 && isZero(bytesOf(slot, { cell, count: 1 }))) zeros |= 1 << cell;
  }
  const runs = runsOf(dirty & ~zeros, length, whole).map((run) => ({
    ...run,
    id: new Uint8Array(codec.idOf('data', bytesOf(slot, run))),
  }));
  return { zeros, runs };
}

function encode({ buffer, length, salt, runs }: EncodeJob, codec: ObjectCodec): EncodeReply {
  const slot = new Uint8Array(buffer, 0, length);
  let at = SLOT_BYTES;
  const lengths = runs.map((run) => {
    const raw = bytesOf(slot, run);
    const sealed = codec.sealInto(new Uint8Array(buffer, at), { kind: 'data', raw, id: run.id, salt });
    at += sealed;
    return sealed;
  });
  return { lengths };
}
