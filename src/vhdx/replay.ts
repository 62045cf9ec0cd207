/**
 * Log replay. A read-only source is never written: the replayed file is the source with the log's changes laid over it,
 * for every later read (MS-VHDX 2.3.3: a file with a log must not be read without it).
 */
import { KiB, NIL_GUID, TiB } from '../base/index.ts';
import { checkRange, type CallOptions, type LocalFile, type RangeReader } from '../disk/index.ts';
import { clip, endOf, normalise, type Extent } from '../extents/index.ts';
import { vhdxFaults } from './faults.ts';
import { LOG_SECTOR, type Header } from './format.ts';
import { LogRing, REPLAY_LOG_MAX, type LogChange, type LogEntry } from './log.ts';

/** The largest file whose blocks a BAT of Microsoft's can name: 28 bits of MiB. */
const FILE_SIZE_MAX = 256 * TiB;
/** File identifier and headers: no log entry may touch them. */
const LOGGABLE_FROM = 192 * KiB;

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
  header: Header,
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

function replayOf(ring: LogRing, sequence: readonly LogEntry[], log: Extent, fileSize: number): Replay {
  const pages = new Map<number, Uint8Array>();
  const zeros: Extent[] = [];
  let zeroBatch: Extent[] = [];
  let size = Math.max(fileSize, sequence.at(-1)!.lastFileOffset);
  for (const entry of sequence) {
    for (const change of ring.changes(entry)) {
      checkTarget(change, log);
      size = Math.max(size, endOf({ offset: change.fileOffset, length: change.length }));
      if (change.data) {
        zeroBatch = dropPages(pages, zeroBatch);
        pages.set(change.fileOffset, change.data);
      } else {
        const zero = { offset: change.fileOffset, length: change.length };
        zeroBatch.push(zero);
        zeros.push(zero);
      }
    }
  }
  dropPages(pages, zeroBatch);
  if (size > FILE_SIZE_MAX) throw vhdxFaults.logTarget({ offset: size, length: 0 });
  return { pages, zeros: normalise(zeros), size };
}

/** Zeros hide the pages before them. Done for a run of zero descriptors at once, so that many cost no more than one. */
function dropPages(pages: Map<number, Uint8Array>, zeroBatch: readonly Extent[]): Extent[] {
  if (zeroBatch.length === 0) return [];
  const zeros = normalise(zeroBatch);
  for (const offset of pages.keys()) {
    const zero = zeros[firstEndingAfter(zeros, offset)];
    if (zero && zero.offset <= offset) pages.delete(offset);
  }
  return [];
}

function checkTarget(change: LogChange, log: Extent): void {
  const { fileOffset: offset, length } = change;
  const aligned = offset % LOG_SECTOR === 0 && length % LOG_SECTOR === 0;
  const overLog = offset < endOf(log) && offset + length > log.offset;
  if (!aligned || offset < LOGGABLE_FROM || overLog || offset + length > FILE_SIZE_MAX) {
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
