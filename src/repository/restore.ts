/**
 * Writing a disk of a restore point into an image.
 *
 *   map, in order ─► place ─► batch ─► worker: read pack, verify, decompress, write what is not zeros
 *
 * The main thread only decides what goes where; bytes go from pack to image inside one worker, without a copy between
 * threads. Where the store has no local path, the main thread fetches the sealed bytes and hands them over.
 */
import { MiB, forEachBounded, silentProgress, type Progress } from '../base/index.ts';
import { EarlyWriteback, LocalFile, type CallOptions, type PlacedWriter } from '../disk/index.ts';
import type { BlockMap } from './block-map.ts';
import type { Placement, ReadObject } from './extract.ts';
import { SLOT_BYTES, packName } from './format.ts';
import type { RepositoryPool } from './jobs.ts';
import { slotCount, type MapRoot } from './map-root.ts';
import { HEADER_BYTES } from './object.ts';
import type { Location } from './object-index.ts';
import { damagedObject, type ObjectReader } from './object-reader.ts';
import type { ObjectPlace } from './segment-writer.ts';
import { piecesOf } from './slot.ts';
import { slotLength } from './slot-plan.ts';

export interface RestoreRequest extends CallOptions {
  readonly root: MapRoot;
  readonly size: number;
  /** Fresh, so that what is not written reads as zeros. The caller finishes or aborts it. */
  readonly target: PlacedWriter;
  /** Advanced by bytes of the virtual disk, `size` in all. */
  readonly progress?: Progress;
  /** Threads at most; 0: none. Default: half as many again as there are processors. */
  readonly workers?: number;
}

export interface RestoreStats {
  /** Written into the image. */
  writtenBytes: number;
  /** Decoded and verified, zeros inside chunks included. */
  rawBytes: number;
  /** Read from packs. */
  storedBytes: number;
  chunks: number;
}

export interface ReadBatch {
  readonly objects: readonly { readonly place: Location; readonly placements: readonly Placement[] }[];
  /** Bytes of the virtual disk it brings us on, holes included. */
  readonly virtualBytes: number;
}

/** Large enough that messages cost nothing, small enough that the last batches end together. */
const BATCH_RAW_BYTES = 4 * MiB;
const BATCH_OBJECTS = 64;
/** At least: hides the latency of a store that is not local. */
const BATCHES_AT_ONCE = 8;

export class DiskRestore {
  readonly #request: RestoreRequest;
  readonly #map: BlockMap;
  readonly #objects: ObjectReader;
  readonly #pool: RepositoryPool;
  readonly #stats: RestoreStats = { writtenBytes: 0, rawBytes: 0, storedBytes: 0, chunks: 0 };

  constructor(
    request: RestoreRequest,
    parts: { map: BlockMap; objects: ObjectReader; pool: RepositoryPool },
  ) {
    this.#request = request;
    this.#map = parts.map;
    this.#objects = parts.objects;
    this.#pool = parts.pool;
  }

  /**
   * Throws `REPO_OBJECT_DAMAGED`, `REPO_OBJECT_MISSING` at the first object that cannot be had; `DISK_NO_SPACE`,
   * `DISK_IO_FAILED` for the image.
   */
  async run(): Promise<RestoreStats> {
    const progress = this.#request.progress ?? silentProgress;
    const file = await LocalFile.open(this.#request.target.path);
    try {
      const writeback = new EarlyWriteback(() => file.sync());
      const depth = Math.max(BATCHES_AT_ONCE, this.#pool.depth);
      await forEachBounded(this.#batches(), depth, async (batch) => {
        writeback.wrote(await this.#write(batch));
        progress.advance(batch.virtualBytes);
      });
      await writeback.settle();
    } finally {
      await file.close();
    }
    return this.#stats;
  }

  async *#batches(): AsyncGenerator<ReadBatch> {
    const { root, size, signal } = this.#request;
    let reached = 0;
    let batch = new OpenBatch();
    const close = (end: number): ReadBatch => {
      const closed = { objects: batch.objects, virtualBytes: end - reached };
      reached = end;
      batch = new OpenBatch();
      return closed;
    };
    for await (const { slot, entry } of this.#map.walk(root, 0, slotCount(size))) {
      signal?.throwIfAborted();
      const length = slotLength(slot, size);
      for (const piece of piecesOf(entry, length)) {
        const place = await this.#objects.locate('data', piece.id);
        // What lies behind the chunk's end is zeros: a hole in a fresh target.
        const bytes = Math.min(piece.length, place.rawLength - piece.sourceOffset);
        if (bytes > 0)
          batch.add(
            place,
            await this.#placements(slot * SLOT_BYTES + piece.offset, piece.sourceOffset, bytes),
          );
      }
      if (batch.isFull) yield close(slot * SLOT_BYTES + length);
    }
    yield close(size);
  }

  async #placements(offset: number, from: number, length: number): Promise<Placement[]> {
    let at = from;
    return (await this.#request.target.place(offset, length)).map((span) => {
      at += span.length;
      return { from: at - span.length, length: span.length, fileOffset: span.fileOffset };
    });
  }

  /** Bytes written. */
  async #write(batch: ReadBatch): Promise<number> {
    const { target, signal } = this.#request;
    signal?.throwIfAborted();
    const objects = await Promise.all(
      batch.objects.map(({ place, placements }) =>
        readObject(this.#objects, place, placements, this.#request),
      ),
    );
    const reply = await this.#pool.run('read', { objects, target: target.path }, { signal });
    const [problem] = reply.problems;
    if (problem) return this.#writeMoved(batch, problem);
    this.#stats.writtenBytes += reply.writtenBytes;
    this.#stats.rawBytes += reply.rawBytes;
    this.#stats.storedBytes += reply.storedBytes;
    this.#stats.chunks += objects.length;
    return reply.writtenBytes;
  }

  /** What could not be read may have moved meanwhile; if not, it is damaged. */
  async #writeMoved(
    batch: ReadBatch,
    { index, problem }: { readonly index: number; readonly problem: string },
  ): Promise<number> {
    const { place, placements } = batch.objects[index]!;
    const moved = await this.#objects.moved(place, this.#request);
    if (!moved) throw damagedObject('data', place, problem);
    return this.#write({ ...batch, objects: batch.objects.with(index, { place: moved, placements }) });
  }
}

class OpenBatch {
  readonly objects: { readonly place: Location; readonly placements: Placement[] }[] = [];
  #rawBytes = 0;

  get isFull(): boolean {
    return this.#rawBytes >= BATCH_RAW_BYTES || this.objects.length >= BATCH_OBJECTS;
  }

  /** A base that is cut by patches is placed in several parts and decoded once. */
  add(place: Location, placements: readonly Placement[]): void {
    const same = this.objects.find((object) => Buffer.compare(object.place.id, place.id) === 0);
    if (same) {
      same.placements.push(...placements);
      return;
    }
    this.objects.push({ place, placements: [...placements] });
    this.#rawBytes += place.rawLength;
  }
}

/** The object as a worker reads it: by path where there is one. */
export async function readObject(
  objects: ObjectReader,
  place: ObjectPlace,
  placements: readonly Placement[],
  options: CallOptions,
): Promise<ReadObject> {
  const path = objects.store.localPath?.(packName(place.packId));
  const source =
    path === undefined
      ? await objects.stored('data', place, options)
      : { path, offset: place.offset, length: HEADER_BYTES + place.storedLength };
  return { kind: 'data', id: place.id, source, placements };
}
