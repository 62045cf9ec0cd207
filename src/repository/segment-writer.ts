/**
 * Index segments, written: entries sorted by id, with all a reader needs to ask by position.
 *
 *   header │ pack table │ superseded segments │ fan-out │ Bloom filter │ entries │ checksum
 *
 * What stands before the entries is known only when all of them were seen, so they are gone through twice. In memory are the
 * tables and the filter, at most 68 MiB, however many entries there are.
 */
import { assert, crc32c, viewOf } from '../base/index.ts';
import { BLOCK_BYTES, addToBloom, bloomBlocksFor } from './bloom.ts';
import {
  FORMAT_VERSION,
  PACK_TYPES,
  SEGMENT_MAGIC,
  closeStruct,
  hexOf,
  packTableEntry,
  segmentEntry,
  segmentHeader,
  type PackType,
} from './format.ts';

/** Where an object is. */
export interface ObjectPlace {
  /** 32 bytes. */
  readonly id: Uint8Array;
  readonly packId: Uint8Array;
  readonly offset: number;
  readonly storedLength: number;
  readonly rawLength: number;
}

export interface PackInfo {
  readonly packId: Uint8Array;
  readonly size: number;
  readonly type: PackType;
}

/** Entries and packs as they stand in a segment. */
export interface SortedEntries {
  readonly packTable: Uint8Array;
  /** At most so many. */
  readonly entriesMax: number;
  /** Blocks of whole entries, in ascending order of ids; the same each time. */
  blocks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface SegmentContent extends SortedEntries {
  readonly repositoryId: Uint8Array;
  readonly segmentId: Uint8Array;
  /** Ids of segments this one replaces. */
  readonly superseded: readonly Uint8Array[];
}

/** A bucket of about 64 entries is 3 KiB: one read, into memory that costs nothing to get. */
const BUCKET_ENTRIES = 64;
const FAN_OUT_BITS_MAX = 20;

export interface SegmentLayout {
  readonly packTable: number;
  readonly superseded: number;
  readonly fanOut: number;
  readonly bloom: number;
  readonly entries: number;
  readonly checksum: number;
  readonly size: number;
}

export function segmentLayout(counts: {
  readonly packCount: number;
  readonly supersededCount: number;
  readonly fanOutBits: number;
  readonly bloomBlocks: number;
  readonly entryCount: number;
}): SegmentLayout {
  const packTable = segmentHeader.size;
  const superseded = packTable + counts.packCount * packTableEntry.size;
  const fanOut = superseded + counts.supersededCount * 16;
  const bloom = fanOut + (2 ** counts.fanOutBits + 1) * 4;
  const entries = bloom + counts.bloomBlocks * BLOCK_BYTES;
  const checksum = entries + counts.entryCount * segmentEntry.size;
  return { packTable, superseded, fanOut, bloom, entries, checksum, size: checksum + 4 };
}

/** The bucket of an id: its first bits, as a big-endian number, so that buckets are in the order of ids. */
export function bucketOf(id: Uint8Array, fanOutBits: number): number {
  return bucketAt(viewOf(id), 0, fanOutBits);
}

function bucketAt(view: DataView, at: number, fanOutBits: number): number {
  return Math.floor(view.getUint32(at, false) / 2 ** (32 - fanOutBits));
}

/** Of a session's objects, all of them in memory. */
export function sortedEntries(packs: readonly PackInfo[], places: readonly ObjectPlace[]): SortedEntries {
  const ordinals = new Map(packs.map(({ packId }, index) => [hexOf(packId), index]));
  const block = Buffer.alloc(places.length * segmentEntry.size);
  for (const [index, place] of places.toSorted((a, b) => Buffer.compare(a.id, b.id)).entries()) {
    const pack = ordinals.get(hexOf(place.packId));
    assert(pack !== undefined, 'every pack of a segment is in its table');
    const { id, offset, storedLength, rawLength } = place;
    segmentEntry.write(block, { id, pack, offset, storedLength, rawLength }, index * segmentEntry.size);
  }
  return { packTable: packTableOf(packs), entriesMax: places.length, blocks: () => [block] };
}

/** The whole file, piece by piece. */
export async function* encodeSegment(content: SegmentContent): AsyncGenerator<Uint8Array> {
  const tables = new SegmentTables(content.entriesMax);
  for await (const block of content.blocks()) tables.add(block);
  let crc = 0;
  for (const piece of [headOf(content, tables), tables.bloom]) {
    crc = crc32c(piece, crc);
    yield piece;
  }
  for await (const block of content.blocks()) {
    crc = crc32c(block, crc);
    yield block;
  }
  const end = Buffer.alloc(4);
  end.writeUInt32LE(crc);
  yield end;
}

/** What leads to an entry. */
class SegmentTables {
  readonly fanOutBits: number;
  readonly bloom: Uint8Array;
  /** Entries of each bucket, at the position behind it. */
  readonly #counts: Uint32Array;
  #entryCount = 0;

  constructor(entriesMax: number) {
    this.fanOutBits = fanOutBitsFor(entriesMax);
    this.bloom = new Uint8Array(bloomBlocksFor(entriesMax) * BLOCK_BYTES);
    this.#counts = new Uint32Array(2 ** this.fanOutBits + 1);
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  add(block: Uint8Array): void {
    const view = viewOf(block);
    for (let at = 0; at < block.length; at += segmentEntry.size) {
      this.#counts[bucketAt(view, at, this.fanOutBits) + 1]! += 1;
      addToBloom(this.bloom, view, at);
    }
    this.#entryCount += block.length / segmentEntry.size;
  }

  /** Entry `i` is the first entry whose bucket is `i` or later; the last is the number of entries. */
  writeFanOut(into: Uint8Array): void {
    const view = viewOf(into);
    let first = 0;
    for (const [index, count] of this.#counts.entries()) view.setUint32(4 * index, (first += count), true);
  }
}

/** All before the filter. */
function headOf(content: SegmentContent, tables: SegmentTables): Buffer {
  const { fanOutBits, bloom, entryCount } = tables;
  const { repositoryId, segmentId, packTable, superseded } = content;
  const counts = {
    fanOutBits,
    entryCount,
    packCount: packTable.length / packTableEntry.size,
    bloomBlocks: bloom.length / BLOCK_BYTES,
    supersededCount: superseded.length,
  };
  const layout = segmentLayout(counts);
  const bytes = Buffer.alloc(layout.bloom);
  const { size } = layout;
  const header = { magic: SEGMENT_MAGIC, version: FORMAT_VERSION, ...counts, repositoryId, segmentId, size };
  segmentHeader.write(bytes, header);
  closeStruct(bytes, segmentHeader.size);
  bytes.set(packTable, layout.packTable);
  superseded.forEach((id, index) => bytes.set(id, layout.superseded + 16 * index));
  tables.writeFanOut(bytes.subarray(layout.fanOut));
  return bytes;
}

function fanOutBitsFor(entries: number): number {
  const buckets = Math.ceil(entries / BUCKET_ENTRIES);
  return Math.min(FAN_OUT_BITS_MAX, Math.max(0, Math.ceil(Math.log2(Math.max(1, buckets)))));
}

function packTableOf(packs: readonly PackInfo[]): Buffer {
  const bytes = Buffer.alloc(packs.length * packTableEntry.size);
  for (const [index, { packId, size, type }] of packs.entries())
    packTableEntry.write(bytes, { packId, size, type: PACK_TYPES[type] }, index * packTableEntry.size);
  return bytes;
}
