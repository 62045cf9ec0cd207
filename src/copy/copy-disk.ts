/**
 * Any disk into any image that bytes are placed in.
 *
 *   flat image    plan, place ─► by place in the source's file ─► thread: read, leave out zeros, write
 *   other image   plan ─► thread: read, find zeros ─► place the rest, in order ─► thread: write
 *   any image, source not local: the main thread reads into shared buffers, a thread writes
 *
 * What is zeros in the source is never placed in an image that would grow by it, and never written. The main thread only
 * decides; a batch of a few MiB costs it one or two messages.
 *
 * Memory: {@link bufferBytesMax} for the buffers, 88 MiB at most; about 10 MiB for plans, however large or fragmented the disk.
 */
import { forEachBounded, silentProgress, type Progress } from '../base/index.ts';
import { EarlyWriteback, LocalFile, type CallOptions, type Disk, type PlacedWriter } from '../disk/index.ts';
import { intersect } from '../extents/index.ts';
import { writingThreads } from '../workers/index.ts';
import { batchBytesFor, batchesOf, type Batch, type BatchRange } from './batch.ts';
import { copyPool, type CopyPool, type Destination, type Placement } from './copy-jobs.ts';
import { inFileOrder } from './file-order.ts';
import { fillFromDisk } from './fill-buffer.ts';
import { filledBatches, type FilledBatch } from './read-batches.ts';
import { SharedBuffers } from './shared-buffers.ts';

export interface CopyRequest extends CallOptions {
  /** Stays open; it must not be closed before the copy has ended. */
  readonly source: Disk;
  /** Fresh, so that what is not written reads as zeros, and as large as the source. The caller finishes or aborts it. */
  readonly target: PlacedWriter;
  /** Advanced by bytes of the virtual disk, `source.size` in all, holes included. */
  readonly progress?: Progress;
  /** Threads at most; 0: none. Default: one a processor, half as many again when the image is durable. */
  readonly workers?: number;
  /**
   * Whether the image will be made durable: its bytes then go to the disk while it is written, past the page cache where that
   * can be. Default: true.
   */
  readonly durable?: boolean;
}

export interface CopyStats {
  /** Read from the source: what `allocated()` names, in cells of 64 KiB. */
  readonly readBytes: number;
  /** Written into the image. */
  readonly writtenBytes: number;
  /** Memory of the buffers, at its peak. */
  readonly bufferBytes: number;
}

/** Bytes of the buffers of a copy with so many threads: those being read, those being written, and one of each thread. */
export function bufferBytesMax(workers: number): number {
  const threads = Math.max(1, workers);
  const depth = 2 * threads + 1;
  return (2 * depth + threads) * batchBytesFor(threads);
}

/**
 * Copies every byte of `source` that is not zero to its place in `target`. Faults: what reading the source throws,
 * `DISK_NO_SPACE`, `DISK_IO_FAILED` with the name of the file, `DISK_REPLACED`. Once it has thrown nothing is written any more.
 */
export async function copyDisk(request: CopyRequest): Promise<CopyStats> {
  const { durable = true, workers = durable ? writingThreads() : undefined } = request;
  await using pool = copyPool(workers);
  const file = await LocalFile.open(request.target.path);
  try {
    return await new DiskCopy(request, pool, file).run();
  } finally {
    await file.close();
  }
}

type PlacedBatch<B extends Batch> = B & { readonly placements: readonly Placement[] };

class DiskCopy {
  readonly #request: CopyRequest;
  readonly #pool: CopyPool;
  readonly #batchBytes: number;
  readonly #buffers: SharedBuffers;
  readonly #progress: Progress;
  readonly #writeback: EarlyWriteback;
  #readBytes = 0;
  #writtenBytes = 0;
  #virtualBytes = 0;

  constructor(request: CopyRequest, pool: CopyPool, file: LocalFile) {
    this.#request = request;
    this.#pool = pool;
    this.#batchBytes = batchBytesFor(pool.workers);
    this.#buffers = new SharedBuffers(this.#batchBytes, 2 * pool.depth);
    this.#progress = request.progress ?? silentProgress;
    this.#writeback = new EarlyWriteback(() => file.sync());
  }

  async run(): Promise<CopyStats> {
    const { source, target } = this.#request;
    if (target.isFlat) await this.#copyFlat();
    else await this.#copyPlaced();
    await this.#writeback.settle();
    this.#progress.advance(source.size - this.#virtualBytes);
    return {
      readBytes: this.#readBytes,
      writtenBytes: this.#writtenBytes,
      bufferBytes: this.#buffers.totalBytes,
    };
  }

  async #copyFlat(): Promise<void> {
    const { source, signal } = this.#request;
    const placed = this.#placed(
      batchesOf(source, { signal, batchBytes: this.#batchBytes }),
      ({ ranges }) => ranges,
    );
    await forEachBounded(inFileOrder(placed), this.#pool.depth, async (batch) => {
      this.#done(batch, batch.reads ? await this.#copy(batch, batch.reads) : await this.#carry(batch));
    });
  }

  async #copyPlaced(): Promise<void> {
    const parts = { pool: this.#pool, buffers: this.#buffers };
    const { source, signal } = this.#request;
    const filled = filledBatches(source, parts, { signal, batchBytes: this.#batchBytes });
    await forEachBounded(this.#placed(filled, dataOf), this.#pool.depth, async (batch) => {
      this.#done(batch, await this.#write(batch.buffer, batch.placements));
    });
  }

  /** Asks the target for places, in ascending order, one after the other. */
  async *#placed<B extends Batch>(
    batches: AsyncIterable<B>,
    rangesOf: (batch: B) => readonly BatchRange[],
  ): AsyncGenerator<PlacedBatch<B>> {
    for await (const batch of batches) {
      this.#request.signal?.throwIfAborted();
      const placements: Placement[] = [];
      for (const { offset, length, at } of rangesOf(batch)) {
        let reached = at;
        for (const span of await this.#request.target.place(offset, length)) {
          placements.push({ at: reached, ...span });
          reached += span.length;
        }
      }
      yield { ...batch, placements };
    }
  }

  #copy({ length, placements }: PlacedBatch<Batch>, reads: NonNullable<Batch['reads']>): Promise<number> {
    return this.#pool.run('copy', { reads, length, ...this.#destination(placements) }, this.#request);
  }

  async #carry(batch: PlacedBatch<Batch>): Promise<number> {
    const buffer = this.#buffers.take();
    await fillFromDisk(new Uint8Array(buffer, 0, batch.length), batch, this.#request.source, this.#request);
    return await this.#write(buffer, batch.placements);
  }

  async #write(buffer: SharedArrayBuffer, placements: readonly Placement[]): Promise<number> {
    const job = { buffer, ...this.#destination(placements) };
    const written = placements.length === 0 ? 0 : await this.#pool.run('write', job, this.#request);
    this.#buffers.give(buffer);
    return written;
  }

  #destination(placements: readonly Placement[]): Destination {
    const { target, durable = true } = this.#request;
    return { target: target.path, durable, placements };
  }

  #done({ length, virtualBytes }: Batch, writtenBytes: number): void {
    this.#readBytes += length;
    this.#writtenBytes += writtenBytes;
    this.#virtualBytes += virtualBytes;
    this.#progress.advance(virtualBytes);
    if (this.#request.durable ?? true) this.#writeback.wrote(writtenBytes);
  }
}

/** The ranges of the disk that hold data, in order: runs of the buffer cut where ranges end. */
function dataOf({ ranges, data }: FilledBatch): BatchRange[] {
  return ranges.flatMap((range) =>
    intersect(data, [{ offset: range.at, length: range.length }]).map(({ offset: at, length }) => ({
      offset: range.offset + at - range.at,
      length,
      at,
    })),
  );
}
