/** Large indexes for tests and measurements: real segments with made-up entries, which nobody needs to hold in memory. */
import { createHash, randomBytes } from 'node:crypto';
import { viewOf } from '../base/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { PACK_TYPES, hexOf, packTableEntry, segmentEntry } from './format.ts';
import { encodeSegment, type SortedEntries } from './segment-writer.ts';

const BLOCK_ENTRIES = 16_384;
const PACK_BYTES = 32 * 1024 * 1024;
/** Stored half a megabyte each, as chunks of a server with half compressible data are. */
const ENTRIES_A_PACK = 64;

/** Of `count` entries, one in each of as many equal parts of all ids, those that one segment has. */
interface MadePart {
  readonly count: number;
  /** Of every `of` entries in a row it has `width`, from number `from` on: so segments overlap, as those of real sessions do. */
  readonly from: number;
  readonly width: number;
  readonly of: number;
}

/** Sorted as they are made. `count` is a multiple of `of`. */
function madeEntries(part: MadePart): SortedEntries {
  const own = (part.count / part.of) * part.width;
  return {
    packTable: madePackTable(Math.ceil(own / ENTRIES_A_PACK), part.from),
    entriesMax: own,
    blocks: () => madeBlocks(part, own),
  };
}

/** The id of entry `index` of `count`. */
export function madeId(index: number, count: number): Buffer {
  const id = Buffer.alloc(32);
  writeId(viewOf(id), 0, index, count);
  return id;
}

function* madeBlocks({ count, from, width, of }: MadePart, own: number): Generator<Uint8Array> {
  for (let first = 0; first < own; first += BLOCK_ENTRIES) {
    const block = Buffer.alloc(Math.min(BLOCK_ENTRIES, own - first) * segmentEntry.size);
    const view = viewOf(block);
    for (let at = 0, n = first; at < block.length; at += segmentEntry.size, n += 1) {
      writeId(view, at, Math.floor(n / width) * of + from + (n % width), count);
      view.setUint32(at + 32, Math.floor(scattered(n, own) / ENTRIES_A_PACK), true);
      view.setUint32(at + 36, 64 + (n % ENTRIES_A_PACK) * 500_000, true);
      view.setUint32(at + 40, 499_904, true);
      view.setUint32(at + 44, 1_048_576, true);
    }
    yield block;
  }
}

/** Neighbours among ids are not neighbours in packs. The stride has no divisor in common with the count. */
function scattered(n: number, count: number): number {
  return (n * 611_953) % count;
}

/** The first 48 bits go up with the index; the rest is mixed from it, for the filter. */
function writeId(view: DataView, at: number, index: number, count: number): void {
  const high = Math.floor((index + 0.5) * (2 ** 48 / count));
  view.setUint16(at, Math.floor(high / 2 ** 32));
  view.setUint32(at + 2, high % 2 ** 32);
  let word = index | 0;
  for (let offset = 6; offset < 30; offset += 4) {
    word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d) + offset;
    word = Math.imul(word ^ (word >>> 12), 0x297a2d39);
    view.setUint32(at + offset, word ^ (word >>> 15), true);
  }
}

function madePackTable(packs: number, from: number): Buffer {
  const table = Buffer.alloc(packs * packTableEntry.size);
  for (let index = 0; index < packs; index += 1) {
    const packId = createHash('md5').update(`${from} ${index}`).digest();
    packTableEntry.write(
      table,
      { packId, size: PACK_BYTES, type: PACK_TYPES.data },
      index * packTableEntry.size,
    );
  }
  return table;
}

/** The part as a segment of the index. */
export async function writeMadeSegment(
  store: ObjectStore,
  repositoryId: Uint8Array,
  part: MadePart,
): Promise<void> {
  const segmentId = randomBytes(16);
  const upload = await store.startNew(`index/${hexOf(segmentId)}`);
  const content = { ...madeEntries(part), repositoryId, segmentId, superseded: [] };
  for await (const piece of encodeSegment(content)) await upload.append(piece);
  await upload.commit();
}
