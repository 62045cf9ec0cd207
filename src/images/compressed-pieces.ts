/**
 * A disk as compressed units in ascending order: what VMDK streams and compressed qcow2 images are made of.
 *
 *   batches of 1 MiB ─► workers: read from local files, zero test, compress ─► in order to the caller
 *
 * A source that is not local is read by the main thread. Memory is about 2 MiB for each of the `2 × threads + 2` batches that
 * are under way, however large the disk.
 */
import { mapOrdered, silentProgress, type Progress } from '../base/index.ts';
import { SharedBuffers, batchesOf, fillFromDisk, type Batch } from '../copy/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import type { Codec } from './codec.ts';
import { JOB_BUFFER_BYTES, PIECE_BYTES, compressPool } from './compress-job.ts';

export interface CompressOptions extends CallOptions {
  /** Advanced by bytes of the virtual disk, `size` in all. */
  readonly progress?: Progress;
  /** Threads at most; 0: none. Default: one a processor. */
  readonly workers?: number;
}

export interface UnitShape {
  /** Bytes of a unit: divides 1 MiB. */
  readonly unit: number;
  /** The last unit is filled with zeros to a multiple of this. */
  readonly lastUnitMultiple: number;
  readonly codec: Codec;
  readonly keepIncompressible: boolean;
}

/** Up to 1 MiB of the disk, valid until the next one is asked for. */
export interface CompressedPiece {
  /** Number of the first unit in the disk. */
  readonly firstUnit: number;
  /** Bytes of each unit: 0 when it is zeros, {@link UnitShape.unit} when it is kept as it is. */
  readonly lengths: readonly number[];
  /** The units that are not zeros, back to back. */
  readonly bytes: Uint8Array;
}

/** Units that are not in any piece are zeros. */
export async function* compressedPieces(
  disk: Disk,
  shape: UnitShape,
  options: CompressOptions,
): AsyncGenerator<CompressedPiece> {
  const { signal, progress = silentProgress } = options;
  await using pool = compressPool(options.workers);
  const buffers = new SharedBuffers(JOB_BUFFER_BYTES, pool.depth + 1);
  const batches = batchesOf(disk, { signal, grid: shape.unit, batchBytes: PIECE_BYTES });
  const work = async (batch: Batch): Promise<Work> => {
    const buffer = buffers.take();
    const length = Math.ceil(batch.length / shape.lastUnitMultiple) * shape.lastUnitMultiple;
    if (!batch.reads) await readBatch(disk, batch, { buffer, length, signal });
    const job = { ...shape, buffer, length, reads: batch.reads };
    return { buffer, batch, lengths: await pool.run('compress', job, { signal }) };
  };
  let reached = 0;
  for await (const { buffer, batch, lengths } of mapOrdered(batches, pool.depth, work)) {
    signal?.throwIfAborted();
    yield* piecesIn(batch, lengths, new Uint8Array(buffer, PIECE_BYTES), shape.unit);
    buffers.give(buffer);
    progress.advance(batch.virtualBytes);
    reached += batch.virtualBytes;
  }
  progress.advance(disk.size - reached);
}

interface Work {
  readonly buffer: SharedArrayBuffer;
  readonly batch: Batch;
  readonly lengths: readonly number[];
}

async function readBatch(
  disk: Disk,
  batch: Batch,
  { buffer, length, signal }: { buffer: SharedArrayBuffer; length: number } & CallOptions,
): Promise<void> {
  const bytes = new Uint8Array(buffer, 0, length);
  bytes.fill(0, batch.length);
  await fillFromDisk(bytes, batch, disk, { signal });
}

/** One piece a range. Ranges are whole units, all but the last one of the disk, and so are their places in the buffer. */
function* piecesIn(
  { ranges }: Batch,
  lengths: readonly number[],
  bytes: Uint8Array,
  unit: number,
): Generator<CompressedPiece> {
  let from = 0;
  for (const { offset, length, at } of ranges) {
    const own = lengths.slice(at / unit, Math.ceil((at + length) / unit));
    yield { firstUnit: offset / unit, lengths: own, bytes: bytes.subarray(from) };
    from += own.reduce((sum, bytesOfUnit) => sum + bytesOfUnit, 0);
  }
}
