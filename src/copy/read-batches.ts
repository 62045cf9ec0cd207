/**
 * Reading a disk front to back: threads fill shared buffers from local files, the main thread asks any other disk.
 *
 *   batches ─► fill (as many as keep all threads busy) ─► in the order of the disk to the caller
 */
import { mapOrdered } from '../base/index.ts';
import { dataRuns, type CallOptions, type Disk } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import { batchBytesFor, batchesOf, type Batch, type BatchOptions } from './batch.ts';
import { copyPool, type CopyPool } from './copy-jobs.ts';
import { fillFromDisk } from './fill-buffer.ts';
import { SharedBuffers } from './shared-buffers.ts';

export interface FilledBatch extends Batch {
  readonly buffer: SharedArrayBuffer;
  /** Runs of cells of the buffer that are not zeros. */
  readonly data: readonly Extent[];
}

export interface ReadOptions extends CallOptions {
  /** Threads at most; 0: none. Default: one a processor. */
  readonly workers?: number;
}

/** Batches in the order of the disk, each valid until the next one is asked for. */
export async function* readBatches(disk: Disk, options: ReadOptions = {}): AsyncGenerator<FilledBatch> {
  await using pool = copyPool(options.workers);
  const batchBytes = batchBytesFor(pool.workers);
  const buffers = new SharedBuffers(batchBytes, pool.depth + 1);
  const { signal } = options;
  for await (const batch of filledBatches(disk, { pool, buffers }, { batchBytes, signal })) {
    yield batch;
    buffers.give(batch.buffer);
  }
}

/** The caller gives each buffer back when it is done with it; `pool.depth` are out beside those it holds. */
export function filledBatches(
  disk: Disk,
  { pool, buffers }: { readonly pool: CopyPool; readonly buffers: SharedBuffers },
  options: BatchOptions,
): AsyncGenerator<FilledBatch> {
  return mapOrdered(batchesOf(disk, options), pool.depth, async (batch): Promise<FilledBatch> => {
    const buffer = buffers.take();
    const { reads, length } = batch;
    if (reads) {
      return { ...batch, buffer, data: await pool.run('fill', { buffer, reads, length }, options) };
    }
    const bytes = new Uint8Array(buffer, 0, length);
    await fillFromDisk(bytes, batch, disk, options);
    return { ...batch, buffer, data: dataRuns(bytes) };
  });
}
