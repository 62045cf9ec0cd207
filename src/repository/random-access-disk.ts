/**
 * A disk of a restore point, readable at any position: what instant access, export and comparison are made of.
 *
 * Where the pages of the map and the chunks are kept, a read is a look into both and a copy, and nothing is waited for. Else the
 * map is walked and chunks are fetched, and a reader that goes front to back has the next ones fetched ahead of it.
 */
import { MiB, copyBytes, forEachBounded, unlessAborted } from '../base/index.ts';
import { checkRange, InUse, type CallOptions, type Disk } from '../disk/index.ts';
import { clip, coalesce, intersect, type Extent } from '../extents/index.ts';
import type { BlockMap } from './block-map.ts';
import type { ChunkReader } from './chunk-reader.ts';
import { SLOT_BYTES } from './format.ts';
import { slotCount, type MapRoot } from './map-root.ts';
import { ReadAhead } from './read-ahead.ts';
import { piecesOf, type Piece, type SlotEntry } from './slot.ts';
import { slotLength } from './slot-plan.ts';

/** Hides the latency of a store that is not local. */
const PIECES_AT_ONCE = 4;
/** Larger ones are cut up by their work: they cost what their chunks cost, kept or not. */
const QUICK_BYTES_MAX = 2 * MiB;

interface PieceAt extends Piece {
  readonly diskOffset: number;
}

export class RandomAccessDisk implements Disk {
  readonly size: number;
  readonly logicalSectorSize: number;
  readonly #root: MapRoot;
  readonly #map: BlockMap;
  readonly #chunks: ChunkReader;
  readonly #ahead: ReadAhead | undefined;
  readonly #use = new InUse();

  /** The chunk reader stays open. */
  constructor(parts: {
    root: MapRoot;
    size: number;
    logicalSectorSize: number;
    map: BlockMap;
    chunks: ChunkReader;
    readAhead: boolean;
  }) {
    this.#root = parts.root;
    this.size = parts.size;
    this.logicalSectorSize = parts.logicalSectorSize;
    this.#map = parts.map;
    this.#chunks = parts.chunks;
    if (parts.readAhead) this.#ahead = new ReadAhead(slotCount(this.size), (slot) => this.#fetch(slot));
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
    this.#ahead?.saw(offset, into.length);
    const range = { offset, length: into.length };
    into.fill(0);
    if (into.length <= QUICK_BYTES_MAX && this.#fillFromKept(range, into)) return;
    await forEachBounded(this.#pieces(range), PIECES_AT_ONCE, async (piece) => {
      signal?.throwIfAborted();
      copyPiece(piece, await unlessAborted(this.#chunks.get(piece.id), signal), range, into);
    });
  }

  /** False when something has to be waited for; what was copied by then is right. */
  #fillFromKept(range: Extent, into: Uint8Array): boolean {
    const [from, to] = slotsOf(range);
    for (let slot = from; slot < to; slot += 1) {
      const entry = this.#map.kept(this.#root, slot);
      if (entry === undefined) return false;
      for (const piece of entry === null ? [] : this.#piecesIn(slot, entry, range)) {
        const chunk = this.#chunks.kept(piece.id);
        if (!chunk) return false;
        copyPiece(piece, chunk, range, into);
      }
    }
    return true;
  }

  /** Ahead of a reader, who is told of any failure when it gets there. */
  #fetch(slot: number): Promise<void> {
    return this.#use
      .run(async () => {
        const range = { offset: slot * SLOT_BYTES, length: slotLength(slot, this.size) };
        for await (const { id } of this.#pieces(range)) await this.#chunks.get(id);
      })
      .catch(() => undefined);
  }

  async *#allocated(range: Extent, signal: AbortSignal | undefined): AsyncGenerator<Extent> {
    for await (const { diskOffset, length } of this.#pieces(range)) {
      signal?.throwIfAborted();
      yield* intersect([{ offset: diskOffset, length }], [range]);
    }
  }

  /** Pieces that touch the range, ascending. */
  async *#pieces(range: Extent): AsyncGenerator<PieceAt> {
    for await (const { slot, entry } of this.#map.walk(this.#root, ...slotsOf(range)))
      yield* this.#piecesIn(slot, entry, range);
  }

  *#piecesIn(slot: number, entry: Exclude<SlotEntry, null>, range: Extent): Generator<PieceAt> {
    for (const piece of piecesOf(entry, slotLength(slot, this.size))) {
      const diskOffset = slot * SLOT_BYTES + piece.offset;
      const touches = diskOffset < range.offset + range.length && diskOffset + piece.length > range.offset;
      if (touches) yield { ...piece, diskOffset };
    }
  }
}

/** First slot, and the one behind the last. */
function slotsOf({ offset, length }: Extent): [number, number] {
  return [Math.floor(offset / SLOT_BYTES), Math.ceil((offset + length) / SLOT_BYTES)];
}

/** What of the piece lies in the range; what lies behind the chunk's end stays zeros. */
function copyPiece(piece: PieceAt, chunk: Buffer, range: Extent, into: Uint8Array): void {
  const start = Math.max(piece.diskOffset, range.offset);
  const end = Math.min(piece.diskOffset + piece.length, range.offset + range.length);
  const from = piece.sourceOffset + start - piece.diskOffset;
  copyBytes(chunk.subarray(from, from + end - start), into, start - range.offset);
}
