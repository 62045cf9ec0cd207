/** A disk of a restore point, readable at any position: what instant access, export and comparison are made of. */
import { MiB, copyBytes, forEachBounded } from '../base/index.ts';
import { checkRange, InUse, type CallOptions, type Disk } from '../disk/index.ts';
import { clip, coalesce, intersect, type Extent } from '../extents/index.ts';
import type { BlockMap } from './block-map.ts';
import { SLOT_BYTES } from './format.ts';
import { FetchCache } from './lru.ts';
import { slotCount, type MapRoot } from './map-root.ts';
import type { ObjectReader } from './object-reader.ts';
import { piecesOf, type Piece } from './slot.ts';
import { slotLength } from './slot-plan.ts';

/**
 * A guest that boots reads around in a few hundred MiB; the rest comes from the page cache of the system. Who reads front to
 * back needs a chunk once, or for a moment where changes have cut it.
 */
const CHUNK_CACHE_BYTES = { random: 64 * MiB, ascending: 8 * MiB } as const;
/** Hides the latency of a store that is not local. */
const PIECES_AT_ONCE = 4;

/** How a disk will be read; any order reads right. */
export type ReadOrder = keyof typeof CHUNK_CACHE_BYTES;

export interface OpenDiskOptions {
  readonly logicalSectorSize?: number;
  /** Default: `random`. `ascending` needs 56 MiB less memory. */
  readonly order?: ReadOrder;
}

interface PieceAt extends Piece {
  readonly diskOffset: number;
}

export class RandomAccessDisk implements Disk {
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly #root: MapRoot;
  readonly #map: BlockMap;
  readonly #objects: ObjectReader;
  readonly #chunks: FetchCache<Buffer>;
  readonly #use = new InUse();

  constructor(parts: {
    root: MapRoot;
    size: number;
    logicalSectorSize: number;
    order: ReadOrder;
    map: BlockMap;
    objects: ObjectReader;
  }) {
    this.#root = parts.root;
    this.size = parts.size;
    this.logicalSectorSize = parts.logicalSectorSize;
    this.#map = parts.map;
    this.#objects = parts.objects;
    this.#chunks = new FetchCache(CHUNK_CACHE_BYTES[parts.order], (chunk) => chunk.length);
  }

  /** Throws `REPO_OBJECT_DAMAGED` or `REPO_OBJECT_MISSING` where bytes cannot be had; other ranges still read. */
  read(offset: number, into: Uint8Array, options: CallOptions = {}): Promise<void> {
    return this.#use.run(() => this.#fill(offset, into, options));
  }

  async *allocated(
    within: Extent = { offset: 0, length: this.size },
    { signal }: CallOptions = {},
  ): AsyncGenerator<Extent> {
    const [range] = clip([within], this.size);
    if (!range) return;
    yield* coalesce(this.#allocated(range, signal));
  }

  async close(): Promise<void> {
    await this.#use.end();
  }

  async #fill(offset: number, into: Uint8Array, { signal }: CallOptions): Promise<void> {
    checkRange(offset, into.length, this.size);
    signal?.throwIfAborted();
    into.fill(0);
    const range = { offset, length: into.length };
    await forEachBounded(this.#pieces(range), PIECES_AT_ONCE, async (piece) => {
      signal?.throwIfAborted();
      const chunk = await this.#chunk(piece.id);
      const [part] = intersect([{ offset: piece.diskOffset, length: piece.length }], [range]);
      const from = piece.sourceOffset + part!.offset - piece.diskOffset;
      copyBytes(chunk.subarray(from, from + part!.length), into, part!.offset - offset);
    });
  }

  /** Shared by all readers, so no reader's signal may stop it. */
  #chunk(id: string): Buffer | Promise<Buffer> {
    return this.#chunks.get(id, () => this.#objects.read('data', id));
  }

  async *#allocated(range: Extent, signal: AbortSignal | undefined): AsyncGenerator<Extent> {
    for await (const { diskOffset, length } of this.#pieces(range)) {
      signal?.throwIfAborted();
      yield* intersect([{ offset: diskOffset, length }], [range]);
    }
  }

  /** Pieces that touch the range, ascending. */
  async *#pieces(range: Extent): AsyncGenerator<PieceAt> {
    const from = Math.floor(range.offset / SLOT_BYTES);
    const to = Math.min(slotCount(this.size), Math.ceil((range.offset + range.length) / SLOT_BYTES));
    for await (const { slot, entry } of this.#map.walk(this.#root, from, to)) {
      for (const piece of piecesOf(entry, slotLength(slot, this.size))) {
        const diskOffset = slot * SLOT_BYTES + piece.offset;
        const touches = diskOffset < range.offset + range.length && diskOffset + piece.length > range.offset;
        if (touches) yield { ...piece, diskOffset };
      }
    }
  }
}
