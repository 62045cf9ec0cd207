/** Index segments, read by position: one Bloom block, one fan-out pair, one bucket. Never the whole segment in memory. */
import { crc32c, viewOf } from '../base/index.ts';
import { BLOCK_BYTES, bloomBlockOf, mayHold } from './bloom.ts';
import { repositoryFaults } from './faults.ts';
import {
  FORMAT_VERSION,
  OBJECT_RAW_MAX,
  PACK_BYTES_MAX,
  PACK_TYPES,
  SEGMENT_MAGIC,
  TAG_BYTES,
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

const CHECK_STEP_BYTES = 1024 * 1024;

/** By pack id. */
export type PackFilter = (packId: Uint8Array) => boolean;
type PlaceFilter = (place: ObjectPlace) => boolean;

export interface FoundEntry extends ObjectPlace {
  /** Bytes of the whole pack. */
  readonly packSize: number;
  /** Position in the segment: stable, and unique together with the segment. */
  readonly ordinal: number;
}

export class Segment {
  readonly id: string;
  readonly entryCount: number;
  /** Ids of the segments it replaces. */
  readonly superseded: readonly string[];
  readonly packs: readonly PackInfo[];
  readonly #reader: PagedReader;
  readonly #layout: SegmentLayout;
  readonly #fanOutBits: number;
  readonly #bloomBlocks: number;

  private constructor(
    reader: PagedReader,
    header: ReturnType<typeof segmentHeader.read>,
    tables: { packs: PackInfo[]; superseded: string[] },
  ) {
    this.#reader = reader;
    this.id = Buffer.from(header.segmentId).toString('hex');
    this.entryCount = header.entryCount;
    this.#layout = segmentLayout(header);
    this.#fanOutBits = header.fanOutBits;
    this.#bloomBlocks = header.bloomBlocks;
    this.packs = tables.packs;
    this.superseded = tables.superseded;
  }

  get name(): string {
    return this.#reader.name;
  }

  /** Reads header and pack table. Throws `REPO_INDEX_DAMAGED`. */
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
    const layout = segmentLayout(header);
    if (layout.size !== reader.size || header.size !== reader.size) throw damaged('its size is wrong');
    return new Segment(reader, header, await readTables(reader, layout));
  }

  /** The first place of the object that is `wanted`: an object may stand in several packs. */
  async find(id: Uint8Array, wanted: PlaceFilter): Promise<FoundEntry | undefined> {
    const block = bloomBlockOf(id, this.#bloomBlocks);
    const bits = await this.#reader.bytes(this.#layout.bloom + block * BLOCK_BYTES, BLOCK_BYTES);
    if (!mayHold(bits, id)) return undefined;
    const [first, end] = await this.#bucket(id);
    for (let at = await this.#search(id, first, end); at < end; at += 1) {
      const bytes = await this.#entryBytes(at);
      if (Buffer.compare(id, bytes.subarray(0, id.length)) !== 0) break;
      const entry = this.#entryAt(bytes, 0, at);
      if (wanted(entry)) return entry;
    }
    return undefined;
  }

  /** Every entry, in the order of ids. */
  async *entries(): AsyncGenerator<FoundEntry> {
    const step = 1024;
    for (let first = 0; first < this.entryCount; first += step) {
      const count = Math.min(step, this.entryCount - first);
      const at = this.#layout.entries + first * segmentEntry.size;
      const bytes = await this.#reader.bytes(at, count * segmentEntry.size);
      for (let i = 0; i < count; i += 1) yield this.#entryAt(bytes, i, first + i);
    }
  }

  /** Reads it whole and compares its checksum. Throws `REPO_INDEX_DAMAGED`. */
  async check(): Promise<void> {
    let crc = 0;
    const end = this.#layout.checksum;
    for (let at = 0; at < end; at += CHECK_STEP_BYTES) {
      crc = crc32c(await this.#reader.bytes(at, Math.min(CHECK_STEP_BYTES, end - at)), crc);
    }
    if (viewOf(await this.#reader.bytes(end, 4)).getUint32(0, true) !== crc)
      throw this.#damaged('its checksum is wrong');
  }

  async #bucket(id: Uint8Array): Promise<[number, number]> {
    const at = this.#layout.fanOut + 4 * bucketOf(id, this.#fanOutBits);
    const view = viewOf(await this.#reader.bytes(at, 8));
    const [first, end] = [view.getUint32(0, true), view.getUint32(4, true)];
    if (first > end || end > this.entryCount) throw this.#damaged('its fan-out table is wrong');
    return [first, end];
  }

  /** The first entry in `[first, end)` whose id is not below this one. */
  async #search(id: Uint8Array, first: number, end: number): Promise<number> {
    let low = first;
    let high = end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const bytes = await this.#entryBytes(middle);
      if (Buffer.compare(id, bytes.subarray(0, id.length)) <= 0) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #entryBytes(index: number): Promise<Uint8Array> {
    return this.#reader.bytes(this.#layout.entries + index * segmentEntry.size, segmentEntry.size);
  }

  #entryAt(bytes: Uint8Array, index: number, ordinal: number): FoundEntry {
    const { id, pack, offset, storedLength, rawLength } = segmentEntry.read(bytes, index * segmentEntry.size);
    const info = this.packs[pack];
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

async function readTables(
  reader: PagedReader,
  layout: SegmentLayout,
): Promise<{ packs: PackInfo[]; superseded: string[] }> {
  const bytes = await reader.bytes(layout.packTable, layout.fanOut - layout.packTable);
  const packs: PackInfo[] = [];
  const packBytes = layout.superseded - layout.packTable;
  for (let at = 0; at < packBytes; at += packTableEntry.size) {
    const { packId, size, type } = packTableEntry.read(bytes, at);
    const name = type === PACK_TYPES.data ? 'data' : type === PACK_TYPES.meta ? 'meta' : undefined;
    if (!name || size > PACK_BYTES_MAX) {
      throw repositoryFaults.indexDamaged({
        name: reader.name,
        problem: 'its pack table holds impossible values',
      });
    }
    packs.push({ packId, size, type: name satisfies PackType });
  }
  const superseded: string[] = [];
  for (let at = packBytes; at < bytes.length; at += 16) {
    superseded.push(Buffer.from(bytes.subarray(at, at + 16)).toString('hex'));
  }
  return { packs, superseded };
}
