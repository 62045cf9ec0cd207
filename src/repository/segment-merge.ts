/**
 * Several segments as one: their entries in one order, each place once, without those in packs that are not wanted.
 *
 *   tables of packs ─► one table, each pack once ─► entries of all, the smallest next ─► blocks for the writer
 *
 * Memory: 32 bytes a pack, and 16 MiB of entries that were read ahead.
 */
import { MiB, viewOf } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { repositoryFaults } from './faults.ts';
import { packTableEntry, segmentEntry } from './format.ts';
import type { PackFilter, Segment } from './segment.ts';
import type { SortedEntries } from './segment-writer.ts';

const AHEAD_BYTES = 16 * MiB;
const BLOCK_ENTRIES = 16_384;
const ID_BYTES = 32;
const PACK_AT = 32;
const UNWANTED = -1;

export async function mergedEntries(
  segments: readonly Segment[],
  wanted: PackFilter,
  { signal }: CallOptions = {},
): Promise<SortedEntries> {
  const tables: Uint8Array[] = [];
  for (const segment of segments) tables.push(await segment.packTable());
  const { packTable, ordinals } = unite(tables, wanted);
  const entriesMax = segments.reduce((sum, { entryCount }) => sum + entryCount, 0);
  return { packTable, entriesMax, blocks: () => merge(segments, ordinals, signal) };
}

/** One table without duplicates, and for each given table where its packs stand in that one. */
function unite(
  tables: readonly Uint8Array[],
  wanted: PackFilter,
): { readonly packTable: Buffer; readonly ordinals: readonly Int32Array[] } {
  const all = Buffer.concat(tables);
  const { size } = packTableEntry;
  const idAt = (index: number): Buffer => all.subarray(index * size, index * size + 16);
  const order = Uint32Array.from({ length: all.length / size }, (_, index) => index);
  order.sort((a, b) => all.compare(all, b * size, b * size + 16, a * size, a * size + 16));
  const packTable = Buffer.alloc(all.length);
  const positions = new Int32Array(order.length);
  let packs = 0;
  let last: number | undefined;
  for (const index of order) {
    if (last === undefined || !idAt(index).equals(idAt(last))) {
      const isWanted = wanted(idAt(index));
      if (isWanted) all.copy(packTable, packs * size, index * size, (index + 1) * size);
      positions[index] = isWanted ? packs : UNWANTED;
      packs += isWanted ? 1 : 0;
    } else positions[index] = positions[last]!;
    last = index;
  }
  return { packTable: packTable.subarray(0, packs * size), ordinals: cutAsTables(positions, tables) };
}

function cutAsTables(positions: Int32Array, tables: readonly Uint8Array[]): Int32Array[] {
  let at = 0;
  return tables.map(({ length }) => positions.subarray(at, (at += length / packTableEntry.size)));
}

async function* merge(
  segments: readonly Segment[],
  ordinals: readonly Int32Array[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const ahead = Math.max(64, Math.floor(AHEAD_BYTES / segments.length / segmentEntry.size));
  const heap: Cursor[] = [];
  for (const [index, segment] of segments.entries()) {
    const cursor = new Cursor(segment, ordinals[index]!, ahead);
    if (await cursor.fill()) heap.push(cursor);
  }
  for (let at = heap.length >>> 1; at >= 0; at -= 1) sift(heap, at);
  const block = new MergedBlock();
  for (let next = heap[0]; next; next = heap[0]) {
    if (block.isFull) {
      signal?.throwIfAborted();
      yield block.take();
    }
    block.add(next);
    if (!next.advance() && !(await next.fill())) {
      const end = heap.pop()!;
      if (end !== next) heap[0] = end;
    }
    sift(heap, 0);
  }
  yield block.take();
}

/** Where the merge has come to in one segment. */
class Cursor {
  bytes: Uint8Array = new Uint8Array(0);
  /** Of the entry in `bytes`. */
  at = 0;
  /** The first 48 bits of its id, by which nearly all ids differ. */
  high = 0;
  readonly #segment: Segment;
  readonly #ordinals: Int32Array;
  readonly #ahead: number;
  #view = viewOf(this.bytes);
  #next = 0;

  constructor(segment: Segment, ordinals: Int32Array, ahead: number) {
    this.#segment = segment;
    this.#ordinals = ordinals;
    this.#ahead = ahead;
  }

  /** Where its pack stands in the new table; negative: nowhere. */
  get pack(): number {
    const pack = this.#ordinals[this.#view.getUint32(this.at + PACK_AT, true)];
    if (pack !== undefined) return pack;
    const { name } = this.#segment;
    throw repositoryFaults.indexDamaged({ name, problem: 'an entry holds impossible values' });
  }

  /** False at the end of what is in memory. */
  advance(): boolean {
    return this.#goTo(this.at + segmentEntry.size);
  }

  /** False at the end of the segment. */
  async fill(): Promise<boolean> {
    const count = Math.min(this.#ahead, this.#segment.entryCount - this.#next);
    if (count === 0) return false;
    this.bytes = await this.#segment.entryBytes(this.#next, count);
    this.#view = viewOf(this.bytes);
    this.#next += count;
    return this.#goTo(0);
  }

  isBelow(other: Cursor): boolean {
    if (this.high !== other.high) return this.high < other.high;
    return Buffer.compare(this.#id, other.#id) < 0;
  }

  get #id(): Uint8Array {
    return this.bytes.subarray(this.at, this.at + ID_BYTES);
  }

  #goTo(at: number): boolean {
    if (at >= this.bytes.length) return false;
    this.at = at;
    this.high = this.#view.getUint32(at, false) * 2 ** 16 + this.#view.getUint16(at + 4, false);
    return true;
  }
}

/** Brings what stands at `at` of a heap down to its place. */
function sift(heap: Cursor[], at: number): void {
  for (let parent = at, child = 2 * at + 1; child < heap.length; child = 2 * parent + 1) {
    if (child + 1 < heap.length && heap[child + 1]!.isBelow(heap[child]!)) child += 1;
    if (!heap[child]!.isBelow(heap[parent]!)) return;
    [heap[parent], heap[child]] = [heap[child]!, heap[parent]!];
    parent = child;
  }
}

/** Entries on their way out. Two writers may have merged the same segments: each place is taken once. */
class MergedBlock {
  #bytes = Buffer.allocUnsafeSlow(BLOCK_ENTRIES * segmentEntry.size);
  #length = 0;
  readonly #lastId = Buffer.alloc(ID_BYTES);
  /** Packs in which the last id was met. */
  #packs: number[] = [];

  get isFull(): boolean {
    return this.#length === this.#bytes.length;
  }

  add({ bytes, at, pack }: Cursor): void {
    if (pack < 0) return;
    const isSameId = this.#lastId.compare(bytes, at, at + ID_BYTES) === 0;
    if (isSameId && this.#packs.includes(pack)) return;
    if (!isSameId) {
      this.#lastId.set(bytes.subarray(at, at + ID_BYTES));
      this.#packs = [];
    }
    this.#packs.push(pack);
    this.#bytes.set(bytes.subarray(at, at + segmentEntry.size), this.#length);
    this.#bytes.writeUInt32LE(pack, this.#length + PACK_AT);
    this.#length += segmentEntry.size;
  }

  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafeSlow(BLOCK_ENTRIES * segmentEntry.size);
    this.#length = 0;
    return taken;
  }
}
