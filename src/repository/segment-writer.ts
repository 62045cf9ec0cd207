/**
 * Index segments, written: entries sorted by id, with all a reader needs to ask by position.
 *
 *   header │ pack table │ superseded segments │ fan-out │ Bloom filter │ entries │ checksum
 */
import { assert, crc32c, viewOf } from '../base/index.ts';
import { BLOCK_BYTES, addToBloom, bloomBlocksFor } from './bloom.ts';
import {
  FORMAT_VERSION,
  PACK_TYPES,
  SEGMENT_MAGIC,
  closeStruct,
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

export interface SegmentContent {
  readonly repositoryId: Uint8Array;
  readonly segmentId: Uint8Array;
  readonly packs: readonly PackInfo[];
  readonly places: readonly ObjectPlace[];
  /** Ids of segments this one replaces. */
  readonly superseded: readonly Uint8Array[];
}

/** A bucket of about 256 entries is 12 KiB: one read. */
const BUCKET_ENTRIES = 256;
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
  return Math.floor(viewOf(id).getUint32(0, false) / 2 ** (32 - fanOutBits));
}

export function encodeSegment(content: SegmentContent): Buffer {
  const places = content.places.toSorted((a, b) => Buffer.compare(a.id, b.id));
  const counts = {
    fanOutBits: fanOutBitsFor(places.length),
    entryCount: places.length,
    packCount: content.packs.length,
    bloomBlocks: bloomBlocksFor(places.length),
    supersededCount: content.superseded.length,
  };
  const layout = segmentLayout(counts);
  const bytes = Buffer.alloc(layout.size);
  const { repositoryId, segmentId } = content;
  segmentHeader.write(bytes, {
    magic: SEGMENT_MAGIC,
    version: FORMAT_VERSION,
    ...counts,
    repositoryId,
    segmentId,
    size: layout.size,
  });
  closeStruct(bytes, segmentHeader.size);
  writePacks(bytes, layout, content);
  content.superseded.forEach((id, index) => bytes.set(id, layout.superseded + 16 * index));
  writeFanOut(bytes.subarray(layout.fanOut, layout.bloom), counts.fanOutBits, places);
  const bloom = bytes.subarray(layout.bloom, layout.entries);
  for (const place of places) addToBloom(bloom, place.id);
  writeEntries(bytes.subarray(layout.entries, layout.checksum), content.packs, places);
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, layout.checksum)), layout.checksum);
  return bytes;
}

function fanOutBitsFor(entries: number): number {
  const buckets = Math.ceil(entries / BUCKET_ENTRIES);
  return Math.min(FAN_OUT_BITS_MAX, Math.max(0, Math.ceil(Math.log2(Math.max(1, buckets)))));
}

function writePacks(bytes: Uint8Array, layout: SegmentLayout, { packs }: SegmentContent): void {
  packs.forEach(({ packId, size, type }, index) => {
    const at = layout.packTable + index * packTableEntry.size;
    packTableEntry.write(bytes, { packId, size, type: PACK_TYPES[type] }, at);
  });
}

/** Entry `i` of the table is the first entry whose bucket is `i` or later; the last is the number of entries. */
function writeFanOut(table: Buffer, bits: number, places: readonly ObjectPlace[]): void {
  let next = 0;
  for (let bucket = 0; bucket <= 2 ** bits; bucket += 1) {
    while (next < places.length && bucketOf(places[next]!.id, bits) < bucket) next += 1;
    table.writeUInt32LE(bucket === 2 ** bits ? places.length : next, 4 * bucket);
  }
}

function writeEntries(into: Uint8Array, packs: readonly PackInfo[], places: readonly ObjectPlace[]): void {
  const ordinals = new Map(packs.map((pack, index) => [Buffer.from(pack.packId).toString('hex'), index]));
  places.forEach((place, index) => {
    const pack = ordinals.get(Buffer.from(place.packId).toString('hex'));
    assert(pack !== undefined, 'every pack of a segment is in its table');
    const { id, offset, storedLength, rawLength } = place;
    segmentEntry.write(into, { id, pack, offset, storedLength, rawLength }, index * segmentEntry.size);
  });
}
