/**
 * Planning: a disk as batches of a few MiB, each to be read by one thread at once. Holes are in none of them.
 *
 *   disk    ── data ──┐   hole   ┌── data ──┐ … a batch takes the next ranges until it is full, on a grid of 64 KiB,
 *   batch   [ range 1 │ range 2 │ … ]           so that each cell is whole where it is tested for zeros
 */
import { KiB, MiB } from '../base/index.ts';
import type { CallOptions, Disk, LocalFileId } from '../disk/index.ts';
import { alignStream, piecesOf, type Extent } from '../extents/index.ts';

/** What is tested for zeros at once: the cluster of qcow2, the grain of VMDK, the grid of the repository. */
export const CELL_BYTES = 64 * KiB;
export const BATCH_BYTES_MAX = 4 * MiB;
/**
 * Bytes of a batch for so many threads. Large enough that messages cost nothing and a cold disk is read in long strokes; many
 * threads get less each, so that all buffers together never take more than 88 MiB.
 */
export function batchBytesFor(threads: number): number {
  return threads <= 4 ? BATCH_BYTES_MAX : threads <= 8 ? 2 * MiB : MiB;
}
/** A disk of scattered sectors must not make messages of unbounded length; 4 MiB of alternating sectors are 4096 runs. */
const RANGES_MAX = 64;

/** A range of the disk, and where in the batch's buffer it stands. */
export interface BatchRange extends Extent {
  readonly at: number;
}

/** A run of a local file, and where in the batch's buffer it goes. */
export interface BatchRead {
  readonly file: LocalFileId;
  readonly fileOffset: number;
  readonly at: number;
  readonly length: number;
}

export interface Batch {
  /** Ascending, back to back in the buffer. */
  readonly ranges: readonly BatchRange[];
  /** Bytes of all ranges. */
  readonly length: number;
  /** Fill the buffer, together with zeros; `undefined` when the disk itself has to be asked. */
  readonly reads: readonly BatchRead[] | undefined;
  /** Bytes of the disk it brings us on, the holes before it included. */
  readonly virtualBytes: number;
}

export interface BatchOptions extends CallOptions {
  /** Ranges begin and end at multiples of it, but for the end of the disk. Default: 64 KiB. */
  readonly grid?: number;
  /** Bytes of a batch at most: a multiple of the grid. */
  readonly batchBytes: number;
}

/** Batches in the order of the disk. Memory is that of one batch, however large the disk. */
export async function* batchesOf(disk: Disk, options: BatchOptions): AsyncGenerator<Batch> {
  const { grid = CELL_BYTES, batchBytes, signal } = options;
  const aligned = alignStream(disk.allocated(undefined, { signal }), grid, disk.size);
  let reached = 0;
  let open = new OpenBatch(disk);
  const close = (): Batch => {
    const batch = open.close(reached);
    reached += batch.virtualBytes;
    open = new OpenBatch(disk);
    return batch;
  };
  for await (const piece of piecesOf(aligned, batchBytes)) {
    signal?.throwIfAborted();
    if (open.length + piece.length > batchBytes || open.ranges.length === RANGES_MAX) yield close();
    await open.add(piece, options);
  }
  if (open.length > 0) yield close();
}

class OpenBatch {
  readonly ranges: BatchRange[] = [];
  readonly #disk: Disk;
  #reads: BatchRead[] | undefined = [];
  length = 0;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  async add(extent: Extent, { signal }: CallOptions): Promise<void> {
    const range = { ...extent, at: this.length };
    this.ranges.push(range);
    this.length += extent.length;
    const runs = this.#reads && (await this.#disk.located?.(extent, { signal }));
    if (!runs) this.#reads = undefined;
    for (const { offset, length, file, fileOffset } of runs ?? []) {
      this.#reads!.push({ file, fileOffset, at: range.at + offset - range.offset, length });
    }
  }

  close(reached: number): Batch {
    const { offset, length } = this.ranges.at(-1)!;
    return {
      ranges: this.ranges,
      length: this.length,
      reads: this.#reads,
      virtualBytes: offset + length - reached,
    };
  }
}
