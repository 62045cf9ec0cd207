/**
 * Index segments, read by position: one Bloom block, one fan-out pair, one bucket. Never the whole segment in memory, and neither
 * its table of packs, which has a million lines where the index has a hundred million entries.
 *
 * A small segment is soon in the cache as a whole. Of a large one only filter, fan-out and table are worth their place there: ids
 * are random, so no page of its entries is asked for twice. Where the store is a folder, its filter is not either: to read a
 * bucket costs as much as to read a block of the filter.
 */
import { crc32c, MiB, viewOf } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { BLOCK_BYTES, bloomBlockOf, mayHold } from './bloom.ts';
import { repositoryFaults } from './faults.ts';
import {
  FORMAT_VERSION,
  OBJECT_RAW_MAX,
  PACK_BYTES_MAX,
  PACK_TYPES,
  SEGMENT_MAGIC,
  TAG_BYTES,
  hexOf,
  isWhole,
  packTableEntry,
  segmentEntry,
  segmentHeader,
  type PackType,
} from './format.ts';
import type { PagedReader } from './paged-reader.ts';
import {
  bucketOf,
  segmentLayout,
  type ObjectPlace,
  type PackInfo,
  type SegmentLayout,
} from './segment-writer.ts';

const STEP_BYTES = 1024 * 1024;
/** Some 160,000 entries. */
const LARGE_BYTES = 8 * MiB;
/** Entries of a bucket that are read at once: eight times what a bucket has where ids are random. */
const WINDOW_ENTRIES = 512;

/** By pack id. */
export type PackFilter = (packId: Uint8Array) => boolean;
type PlaceFilter = (place: ObjectPlace) => boolean;

export interface FoundEntry extends ObjectPlace {
  /** Bytes of the whole pack. */
  readonly packSize: number;
  /** Position in the segment: stable, and unique together with the segment. */
  readonly ordinal: number;
}

/** Entries `[first, first + bytes / 48)` of a segment. */
interface Window {
  readonly first: number;
  readonly bytes: Uint8Array;
}

export class Segment {
  readonly id: string;
  readonly entryCount: number;
  readonly packCount: number;
  /** Ids of the segments it replaces. */
  readonly superseded: readonly string[];
  readonly #reader: PagedReader;
  readonly #layout: SegmentLayout;
  readonly #fanOutBits: number;
  readonly #bloomBlocks: number;
  readonly #isLarge: boolean;

  private constructor(
    reader: PagedReader,
    header: ReturnType<typeof segmentHeader.read>,
    superseded: readonly string[],
  ) {
    this.#reader = reader;
    this.id = Buffer.from(header.segmentId).toString('hex');
    this.entryCount = header.entryCount;
    this.packCount = header.packCount;
    this.superseded = superseded;
    this.#layout = segmentLayout(header);
    this.#fanOutBits = header.fanOutBits;
    this.#bloomBlocks = header.bloomBlocks;
    this.#isLarge = reader.size > LARGE_BYTES;
  }

  get name(): string {
    return this.#reader.name;
  }

  /** Reads the header, and what it replaces. Throws `REPO_INDEX_DAMAGED`. */
  static async open(reader: PagedReader, repositoryId: Uint8Array): Promise<Segment> {
    const damaged = (problem: string): Error => repositoryFaults.indexDamaged({ name: reader.name, problem });
    if (reader.size < segmentHeader.size) throw damaged('it is cut short');
    const bytes = await reader.bytes(0, segmentHeader.size);
    if (!isWhole(bytes, segmentHeader.size)) throw damaged('the checksum of its header is wrong');
    const header = segmentHeader.read(bytes);
    const known = header.magic === SEGMENT_MAGIC && header.version === FORMAT_VERSION;
    if (!known || header.fanOutBits > 24 || header.bloomBlocks === 0)
      throw damaged('its header holds impossible values');
    if (Buffer.compare(header.repositoryId, repositoryId) !== 0)
      throw damaged('it belongs to another repository');
    if (reader.name !== `index/${hexOf(header.segmentId)}`) throw damaged('it is another segment');
    const layout = segmentLayout(header);
    if (layout.size !== reader.size || header.size !== reader.size) throw damaged('its size is wrong');
    return new Segment(reader, header, await readSuperseded(reader, layout));
  }

  /** The first place of the object that is `wanted`: an object may stand in several packs. */
  async find(id: Uint8Array, wanted: PlaceFilter): Promise<FoundEntry | undefined> {
    if (!(await this.#mayHold(id))) return undefined;
    const [first, end] = await this.#bucket(id);
    const window = await this.#narrowed(id, first, end);
    for (let at = lowerBound(window, id); at < end; at += 1) {
      const bytes = entryOf(window, at) ?? (await this.entryBytes(at, 1));
      if (Buffer.compare(id, bytes.subarray(0, id.length)) !== 0) break;
      const entry = this.#decode(bytes, at, await this.#pack(viewOf(bytes).getUint32(PACK_AT, true)));
      if (wanted(entry)) return entry;
    }
    return undefined;
  }

  /** Every entry, in the order of ids. */
  async *entries(): AsyncGenerator<FoundEntry> {
    const packs = await this.packs();
    const step = 1024;
    for (let first = 0; first < this.entryCount; first += step) {
      const bytes = await this.entryBytes(first, Math.min(step, this.entryCount - first));
      for (let at = 0; at < bytes.length; at += segmentEntry.size) {
        const entry = bytes.subarray(at, at + segmentEntry.size);
        const pack = packs[viewOf(entry).getUint32(PACK_AT, true)];
        yield this.#decode(entry, first + at / segmentEntry.size, pack);
      }
    }
  }

  /** Entries as they stand there, not looked at. */
  entryBytes(first: number, count: number): Promise<Uint8Array> {
    return this.#read(this.#layout.entries + first * segmentEntry.size, count * segmentEntry.size);
  }

  /** Every pack of its table. */
  async packs(): Promise<PackInfo[]> {
    const table = await this.packTable();
    return Array.from({ length: this.packCount }, (_, index) => this.#packOf(table, index));
  }

  /** As it stands there, not looked at. */
  packTable(): Promise<Uint8Array> {
    return this.#read(this.#layout.packTable, this.packCount * packTableEntry.size);
  }

  /** Reads it whole and compares its checksum. Throws `REPO_INDEX_DAMAGED`. */
  async check({ signal }: CallOptions = {}): Promise<void> {
    let crc = 0;
    const end = this.#layout.checksum;
    for (let at = 0; at < end; at += STEP_BYTES) {
      signal?.throwIfAborted();
      crc = crc32c(await this.#read(at, Math.min(STEP_BYTES, end - at)), crc);
    }
    if (viewOf(await this.#read(end, 4)).getUint32(0, true) !== crc)
      throw this.#damaged('its checksum is wrong');
  }

  async #mayHold(id: Uint8Array): Promise<boolean> {
    if (this.#isLarge && this.#reader.isLocal) return true;
    const block = bloomBlockOf(id, this.#bloomBlocks);
    return mayHold(await this.#reader.bytes(this.#layout.bloom + block * BLOCK_BYTES, BLOCK_BYTES), id);
  }

  #read(at: number, length: number): Promise<Uint8Array> {
    return this.#isLarge ? this.#reader.exact(at, length) : this.#reader.bytes(at, length);
  }

  async #bucket(id: Uint8Array): Promise<[number, number]> {
    const at = this.#layout.fanOut + 4 * bucketOf(id, this.#fanOutBits);
    const view = viewOf(await this.#reader.bytes(at, 8));
    const [first, end] = [view.getUint32(0, true), view.getUint32(4, true)];
    if (first > end || end > this.entryCount) throw this.#damaged('its fan-out table is wrong');
    return [first, end];
  }

  /** What of a bucket holds the first entry that is not below `id`, if any does. */
  async #narrowed(id: Uint8Array, first: number, end: number): Promise<Window> {
    let [low, high] = [first, end];
    while (high - low > WINDOW_ENTRIES) {
      const middle = (low + high) >>> 1;
      const bytes = await this.entryBytes(middle, 1);
      if (Buffer.compare(id, bytes.subarray(0, id.length)) <= 0) high = middle;
      else low = middle + 1;
    }
    return { first: low, bytes: low === high ? NO_BYTES : await this.entryBytes(low, high - low) };
  }

  async #pack(index: number): Promise<PackInfo | undefined> {
    if (index >= this.packCount) return undefined;
    const at = this.#layout.packTable + index * packTableEntry.size;
    return this.#packOf(await this.#reader.bytes(at, packTableEntry.size), 0);
  }

  #packOf(table: Uint8Array, index: number): PackInfo {
    const { packId, size, type } = packTableEntry.read(table, index * packTableEntry.size);
    const name = (Object.keys(PACK_TYPES) as PackType[]).find((each) => PACK_TYPES[each] === type);
    if (!name || size > PACK_BYTES_MAX) throw this.#damaged('its pack table holds impossible values');
    return { packId, size, type: name };
  }

  #decode(bytes: Uint8Array, ordinal: number, info: PackInfo | undefined): FoundEntry {
    const { id, offset, storedLength, rawLength } = segmentEntry.read(bytes);
    const possible =
      info !== undefined &&
      rawLength <= OBJECT_RAW_MAX &&
      storedLength <= OBJECT_RAW_MAX + TAG_BYTES &&
      offset + storedLength <= info.size;
    if (!possible) throw this.#damaged('an entry holds impossible values');
    return { id, packId: info.packId, packSize: info.size, offset, storedLength, rawLength, ordinal };
  }

  #damaged(problem: string): Error {
    return repositoryFaults.indexDamaged({ name: this.name, problem });
  }
}

const NO_BYTES = new Uint8Array(0);
/** Of a segment entry. */
const PACK_AT = 32;

async function readSuperseded(reader: PagedReader, layout: SegmentLayout): Promise<string[]> {
  const length = layout.fanOut - layout.superseded;
  const bytes = length === 0 ? NO_BYTES : await reader.bytes(layout.superseded, length);
  return Array.from({ length: length / 16 }, (_, index) =>
    hexOf(bytes.subarray(16 * index, 16 * index + 16)),
  );
}

function entryOf({ first, bytes }: Window, ordinal: number): Uint8Array | undefined {
  const at = (ordinal - first) * segmentEntry.size;
  return at < bytes.length ? bytes.subarray(at, at + segmentEntry.size) : undefined;
}

/** Number of the first entry of the window that is not below `id`, or of the one behind it. */
function lowerBound(window: Window, id: Uint8Array): number {
  let low = window.first;
  let high = low + window.bytes.length / segmentEntry.size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(id, entryOf(window, middle)!.subarray(0, id.length)) <= 0) high = middle;
    else low = middle + 1;
  }
  return low;
}
