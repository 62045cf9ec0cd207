/**
 * One job of a compression worker: up to 1 MiB of disk, cut into units (grains, clusters), each tested for zeros and
 * compressed by itself. Content and result are in one shared buffer, so no bytes are copied between threads.
 *
 *   ┌ content, 1 MiB ┬ result: the units that are not zeros, back to back ┐
 */
import { copyBytes, free, isZero, MiB, workerUrl } from '../base/index.ts';
import { fillFromFiles, type BatchRead } from '../copy/index.ts';
import { BlockingReader } from '../disk/index.ts';
import { WorkerPool, type JobHandlers } from '../workers/index.ts';
import { compress, type Codec } from './codec.ts';

export const PIECE_BYTES = MiB;
/** Room for units that cannot be compressed and grow a little by the attempt. */
export const JOB_BUFFER_BYTES = PIECE_BYTES + PIECE_BYTES + PIECE_BYTES / 16;

export interface CompressJob {
  readonly buffer: SharedArrayBuffer;
  /** Bytes of content; at most {@link PIECE_BYTES}. */
  readonly length: number;
  /** Where the thread reads the content itself; `undefined`: it is in the buffer. */
  readonly reads: readonly BatchRead[] | undefined;
  /** Bytes of a unit; the last one may be shorter. */
  readonly unit: number;
  readonly codec: Codec;
  /** What does not get smaller is given back as it is. A VMDK has no place for that. */
  readonly keepIncompressible: boolean;
}

/** Bytes of each unit's result: 0 when it is zeros, the unit's own length when it was kept as it is. */
export type CompressReply = readonly number[];

export type CompressJobs = { compress: { job: CompressJob; reply: CompressReply } };

/** `workers`: threads at most; 0: none; default: one a processor. */
export function compressPool(workers?: number): WorkerPool<CompressJobs> {
  return new WorkerPool({
    script: workerUrl('./compress-worker', import.meta.url),
    workers,
    inline: compressHandlers,
  });
}

export function compressHandlers(): JobHandlers<CompressJobs> {
  const reader = new BlockingReader();
  return {
    jobs: {
      compress(job) {
        if (job.reads) fillFromFiles(new Uint8Array(job.buffer, 0, job.length), job.reads, reader);
        return compressUnits(job);
      },
    },
    close: () => reader.close(),
  };
}

function compressUnits(job: CompressJob): CompressReply {
  const content = new Uint8Array(job.buffer, 0, job.length);
  const result = new Uint8Array(job.buffer, PIECE_BYTES);
  const lengths: number[] = [];
  let reached = 0;
  for (let at = 0; at < job.length; at += job.unit) {
    const raw = content.subarray(at, Math.min(at + job.unit, job.length));
    const length = isZero(raw) ? 0 : pack(raw, result.subarray(reached), job);
    reached += length;
    lengths.push(length);
  }
  return lengths;
}

/** Bytes put at the start of `into`. */
function pack(raw: Uint8Array, into: Uint8Array, { codec, keepIncompressible }: CompressJob): number {
  const bytes = compress(codec, raw);
  const keep = keepIncompressible && bytes.length >= raw.length;
  copyBytes(keep ? raw : bytes, into);
  const length = keep ? raw.length : bytes.length;
  free(bytes);
  return length;
}
