/**
 * Log replay. A read-only source is never written: the replayed file is the source with the log's changes laid over it,
 * for every later read (MS-VHDX 2.3.3: a file with a log must not be read without it).
 */
import { KiB, NIL_GUID, TiB } from '../base/index.ts';
import { checkRange, type CallOptions, type LocalFile, type RangeReader } from '../disk/index.ts';
import { clip, endOf, normalise, type Extent } from '../extents/index.ts';
import { vhdxFaults } from './faults.ts';
import { LOG_SECTOR, type Header } from './format.ts';
import { LogRing, REPLAY_LOG_MAX, type LogEntry } from './log.ts';

/** The largest file whose blocks a BAT of Microsoft's can name: 28 bits of MiB. */
const FILE_SIZE_MAX = 256 * TiB;
/** File identifier and headers: no log entry may touch them. */
const LOGGABLE_FROM = 192 * KiB;
/** Ranges of zeros held in memory; a log of 1 MiB, as Windows and qemu write, has room for 32,640. */
const ZEROS_MAX = 262_144;

/** What a log changes: pages of 4 KiB, and zeros where no page lies. */
export interface Replay {
  readonly pages: ReadonlyMap<number, Uint8Array>;
  readonly zeros: readonly Extent[];
  /** The file is at least this long afterwards. */
  readonly size: number;
}

/** Reads the log of `header`; `undefined` when it is empty. */
export async function readReplay(
  reader: RangeReader,
  header: Pick<Header, 'logGuid' | 'logOffset' | 'logLength'>,
  options: CallOptions,
): Promise<Replay | undefined> {
  if (header.logGuid === NIL_GUID) return undefined;
  const { logOffset, logLength } = header;
  if (logLength > REPLAY_LOG_MAX) {
    throw vhdxFaults.logTooLarge({ length: logLength, maximum: REPLAY_LOG_MAX });
  }
  const bytes = new Uint8Array(logLength);
  await reader.read(logOffset, bytes, options);
  const ring = new LogRing(bytes, header.logGuid);
  const sequence = ring.activeSequence();
  checkFlushed(sequence.at(-1)!, reader.size);
  return replayOf(ring, sequence, { offset: logOffset, length: logLength }, reader.size);
}

/** Only the newest entry's promise counts: older ones may speak of a file that was longer then. */
function checkFlushed(head: LogEntry, size: number): void {
  if (size < head.flushedFileOffset) {
    throw vhdxFaults.fileShorterThanLog({ size, flushed: head.flushedFileOffset });
  }
}

interface LoggedPage {
  readonly order: number;
  readonly data: Uint8Array;
}

interface LoggedZeros extends Extent {
  readonly order: number;
}

function replayOf(ring: LogRing, sequence: readonly LogEntry[], log: Extent, fileSize: number): Replay {
  const pages = new Map<number, LoggedPage>();
  const zeros: LoggedZeros[] = [];
  let size = Math.max(fileSize, sequence.at(-1)!.lastFileOffset);
  let order = 0;
  for (const entry of sequence) {
    for (const { fileOffset, length, data } of ring.changes(entry)) {
      checkTarget({ offset: fileOffset, length }, log);
      size = Math.max(size, fileOffset + length);
      order += 1;
      if (data) pages.set(fileOffset, { order, data });
      else if (zeros.push({ offset: fileOffset, length, order }) > ZEROS_MAX) {
        throw vhdxFaults.logTooScattered({ maximum: ZEROS_MAX });
      }
    }
  }
  if (size > FILE_SIZE_MAX) throw vhdxFaults.logTarget({ offset: size, length: 0 });
  return { pages: shownPages(pages, zeros), zeros: normalise(zeros), size };
}

/**
 * The pages over which no zeros were logged later. From the newest zeros to the oldest, each page is judged by the first
 * that lie over it, and once: the time grows with what is logged, however pages and zeros alternate.
 */
function shownPages(
  logged: ReadonlyMap<number, LoggedPage>,
  zeros: readonly LoggedZeros[],
): Map<number, Uint8Array> {
  const pages = [...logged].sort(([a], [b]) => a - b);
  const hidden = new Uint8Array(pages.length);
  const unjudged = new Skipping(pages.length);
  for (const { offset, length, order } of zeros.toReversed()) {
    const first = lowerBound(pages.length, (i) => pages[i]![0] >= offset);
    for (let i = unjudged.from(first); i < pages.length; i = unjudged.from(i)) {
      const [at, page] = pages[i]!;
      if (at >= offset + length) break;
      if (page.order < order) hidden[i] = 1;
      unjudged.skip(i);
    }
  }
  return new Map(pages.filter((_, i) => hidden[i] === 0).map(([at, { data }]) => [at, data]));
}

/** Indexes of which ever more are passed over. */
class Skipping {
  /** An index that is not passed over, or one behind the index that is. */
  readonly #next: Int32Array;

  constructor(count: number) {
    this.#next = Int32Array.from({ length: count + 1 }, (_, i) => i);
  }

  skip(index: number): void {
    this.#next[index] = index + 1;
  }

  /** The first index from `index` on that is left, or the count. Shortens the way for those that come after. */
  from(index: number): number {
    const next = this.#next;
    let at = index;
    while (next[at] !== at) {
      next[at] = next[next[at]!]!;
      at = next[at]!;
    }
    return at;
  }
}

function checkTarget(change: Extent, log: Extent): void {
  const { offset, length } = change;
  const aligned = offset % LOG_SECTOR === 0 && length % LOG_SECTOR === 0;
  const overLog = offset < endOf(log) && endOf(change) > log.offset;
  if (!aligned || offset < LOGGABLE_FROM || overLog || endOf(change) > FILE_SIZE_MAX) {
    throw vhdxFaults.logTarget({ offset, length });
  }
}

/** Writes a replay into its file: zeros first, since a page is only kept where no later zeros lie. */
export async function writeReplay(file: LocalFile, replay: Replay): Promise<void> {
  const oldSize = file.size;
  await file.extend(replay.size);
  // What lies beyond the old end is zero already.
  for (const zero of clip(replay.zeros, oldSize)) await file.zero(zero.offset, zero.length);
  for (const [offset, page] of replay.pages) await file.write(offset, page);
}

/** A reader as if its log had been replayed. Reads what lies below once, then lays zeros and pages over it. */
export class ReplayedReader implements RangeReader {
  readonly size: number;
  readonly #inner: RangeReader;
  readonly #replay: Replay;
  readonly #pageOffsets: readonly number[];

  constructor(inner: RangeReader, replay: Replay) {
    this.#inner = inner;
    this.#replay = replay;
    this.size = replay.size;
    this.#pageOffsets = [...replay.pages.keys()].sort((a, b) => a - b);
  }

  async read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void> {
    checkRange(offset, into.length, this.size);
    const below = Math.max(0, Math.min(into.length, this.#inner.size - offset));
    await this.#inner.read(Math.min(offset, this.#inner.size), into.subarray(0, below), options);
    into.fill(0, below);
    this.#layZeros(offset, into);
    this.#layPages(offset, into);
  }

  #layZeros(offset: number, into: Uint8Array): void {
    const { zeros } = this.#replay;
    const end = offset + into.length;
    for (let i = firstEndingAfter(zeros, offset); i < zeros.length && zeros[i]!.offset < end; i += 1) {
      // A Buffer, unlike other byte arrays, throws when it is filled beyond its end.
      const to = Math.min(into.length, endOf(zeros[i]!) - offset);
      into.fill(0, Math.max(0, zeros[i]!.offset - offset), to);
    }
  }

  #layPages(offset: number, into: Uint8Array): void {
    const end = offset + into.length;
    const offsets = this.#pageOffsets;
    const first = lowerBound(offsets.length, (i) => offsets[i]! + LOG_SECTOR > offset);
    for (let i = first; i < offsets.length && offsets[i]! < end; i += 1) {
      const page = this.#replay.pages.get(offsets[i]!)!;
      const from = Math.max(0, offset - offsets[i]!);
      const to = Math.min(LOG_SECTOR, end - offsets[i]!);
      into.set(page.subarray(from, to), offsets[i]! + from - offset);
    }
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}

function firstEndingAfter(set: readonly Extent[], offset: number): number {
  return lowerBound(set.length, (i) => endOf(set[i]!) > offset);
}

/** The first index in `[0, count)` that satisfies a condition once true stays true; `count` when none does. */
function lowerBound(count: number, isPast: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isPast(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
