/**
 * What the threads of a copy do.
 *
 *   fill    runs of local files into a shared buffer; says where it is not zeros
 *   write   what is not zeros of a shared buffer to its places in the target
 *   copy    both, through a buffer of the thread's own
 */
import { workerUrl } from '../base/index.ts';
import { BlockingReader, BlockingWriter, alignedBytes, dataRuns } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import { WorkerPool, type JobHandlers } from '../workers/index.ts';
import { BATCH_BYTES_MAX, type BatchRead } from './batch.ts';
import { fillFromFiles } from './fill-buffer.ts';

/** A run of a batch's buffer that belongs into the target. */
export interface Placement {
  readonly at: number;
  readonly length: number;
  readonly fileOffset: number;
}

interface Source {
  readonly reads: readonly BatchRead[];
  readonly length: number;
}

export interface Destination {
  /** Path of a fresh file: what is not written reads as zeros. */
  readonly target: string;
  /** It is made durable in the end. */
  readonly durable: boolean;
  readonly placements: readonly Placement[];
}

export type CopyJobs = {
  /** The reply: the runs of cells that are not zeros. */
  fill: { job: Source & { readonly buffer: SharedArrayBuffer }; reply: readonly Extent[] };
  /** The reply: bytes written. */
  write: { job: Destination & { readonly buffer: SharedArrayBuffer }; reply: number };
  copy: { job: Source & Destination; reply: number };
};

export type CopyPool = WorkerPool<CopyJobs>;

export function copyPool(workers: number | undefined): CopyPool {
  return new WorkerPool({
    script: workerUrl('./copy-worker', import.meta.url),
    workers,
    inline: copyHandlers,
  });
}

/** Of this thread: one batch at a time. */
let own: Buffer | undefined;

export function copyHandlers(): JobHandlers<CopyJobs> {
  const reader = new BlockingReader();
  const writer = new BlockingWriter();
  const place = (from: Uint8Array, { target, placements, durable }: Destination): number => {
    let written = 0;
    for (const { at, length, fileOffset } of placements) {
      written += writer.writeSparse(target, fileOffset, from.subarray(at, at + length), { durable });
    }
    return written;
  };
  return {
    jobs: {
      fill({ buffer, reads, length }) {
        const bytes = new Uint8Array(buffer, 0, length);
        fillFromFiles(bytes, reads, reader);
        return dataRuns(bytes);
      },
      write: (job) => place(new Uint8Array(job.buffer), job),
      copy(job) {
        own ??= alignedBytes(BATCH_BYTES_MAX);
        const bytes = own.subarray(0, job.length);
        fillFromFiles(bytes, job.reads, reader);
        return place(bytes, job);
      },
    },
    close() {
      reader.close();
      writer.close();
    },
  };
}
