/**
 * A disk as compressed units in ascending order: what VMDK streams and compressed qcow2 images are made of.
 *
 *   allocated() ─► pieces of 1 MiB ─► read ahead ─► workers: zero test, compress ─► in order to the caller
 *
 * Memory is about 2 MiB for each of the `2 × threads + 1` pieces that are under way, however large the disk.
 */
import { mapOrdered, silentProgress, type Progress } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import { alignStream, piecesOf, type Extent } from '../extents/index.ts';
import type { Codec } from './codec.ts';
import { JOB_BUFFER_BYTES, PIECE_BYTES } from './compress-job.ts';
import { CompressPool } from './compress-pool.ts';

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
  await using pool = new CompressPool(options.workers);
  const free: SharedArrayBuffer[] = [];
  const extents = piecesOf(
    alignStream(disk.allocated(undefined, { signal }), shape.unit, disk.size),
    PIECE_BYTES,
  );
  const work = async (extent: Extent): Promise<Work> => {
    const buffer = free.pop() ?? new SharedArrayBuffer(JOB_BUFFER_BYTES);
    const length = await readPiece(disk, extent, { buffer, multiple: shape.lastUnitMultiple, signal });
    return { buffer, extent, lengths: await pool.run({ buffer, length, ...shape }) };
  };
  let reached = 0;
  for await (const { buffer, extent, lengths } of mapOrdered(extents, pool.depth, work)) {
    signal?.throwIfAborted();
    yield { firstUnit: extent.offset / shape.unit, lengths, bytes: new Uint8Array(buffer, PIECE_BYTES) };
    free.push(buffer);
    progress.advance(extent.offset + extent.length - reached);
    reached = extent.offset + extent.length;
  }
  progress.advance(disk.size - reached);
}

interface Work {
  readonly buffer: SharedArrayBuffer;
  readonly extent: Extent;
  readonly lengths: readonly number[];
}

/** Bytes in the buffer: more than the extent where the disk ends inside a multiple. */
async function readPiece(
  disk: Disk,
  { offset, length }: Extent,
  to: { buffer: SharedArrayBuffer; multiple: number } & CallOptions,
): Promise<number> {
  to.signal?.throwIfAborted();
  await disk.read(offset, new Uint8Array(to.buffer, 0, length), to);
  const filled = Math.ceil(length / to.multiple) * to.multiple;
  new Uint8Array(to.buffer, length, filled - length).fill(0);
  return filled;
}
