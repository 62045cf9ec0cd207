/**
 * Ranges of one disk into another: what is zeros becomes zeros, and what is there already is left alone where that is asked.
 *
 *   fresh         into nothing but zeros: only data is written
 *   over          over whatever is there: all is written
 *   differences   both are read, and what differs is written: with the ranges that only the one being written has
 */
import { isZero, KiB, mapOrdered, MiB } from '../base/index.ts';
import type { CallOptions, Disk, RangeWriter } from '../disk/index.ts';
import { alignStream, piecesOf, unionStream, type Extent, type ExtentStream } from '../extents/index.ts';

/** Read and written at once: hides the latency of both sides; 16 MiB of buffers with those of a compare. */
const PIECES_AT_ONCE = 8;
const PIECE_BYTES = MiB;
/** What is tested at once: a block of an overlay, so that what is unchanged stays out of it. */
const CELL_BYTES = 64 * KiB;
/** The larger of the two sector sizes: what a VHDX takes. */
const GRID = 4 * KiB;

export interface RangeCopy extends CallOptions {
  readonly source: Disk;
  /** Of the source, sorted. */
  readonly extents: ExtentStream;
  readonly into: Disk & RangeWriter;
  readonly how: 'fresh' | 'over' | 'differences';
  /** Of the disk that are done. */
  advance(bytes: number): void;
}

/** Bytes. */
export interface RangeTally {
  read: number;
  written: number;
  zeroed: number;
}

export async function copyRanges(copy: RangeCopy): Promise<RangeTally> {
  const tally: RangeTally = { read: 0, written: 0, zeroed: 0 };
  const buffers: Uint8Array[] = [];
  const work = async (piece: Extent): Promise<number> => {
    const pair = buffers.pop() ?? new Uint8Array(2 * PIECE_BYTES);
    await copyPiece(copy, piece, pair, tally);
    buffers.push(pair);
    return piece.length;
  };
  for await (const length of mapOrdered(piecesOf(rangesOf(copy), PIECE_BYTES), PIECES_AT_ONCE, work)) {
    copy.advance(length);
  }
  return tally;
}

function rangesOf({ extents, into, how, signal }: RangeCopy): ExtentStream {
  if (how === 'over') return extents;
  const aligned = alignStream(extents, GRID, into.size);
  if (how === 'fresh') return aligned;
  return unionStream(aligned, alignStream(into.allocated(undefined, { signal }), GRID, into.size));
}

async function copyPiece(
  { source, into, how, signal }: RangeCopy,
  piece: Extent,
  pair: Uint8Array,
  tally: RangeTally,
): Promise<void> {
  signal?.throwIfAborted();
  const bytes = pair.subarray(0, piece.length);
  await source.read(piece.offset, bytes, { signal });
  tally.read += piece.length;
  const there = how === 'differences' ? pair.subarray(PIECE_BYTES, PIECE_BYTES + piece.length) : undefined;
  if (there) await into.read(piece.offset, there, { signal });
  for (const { kind, from, to } of runsOf(piece.offset, bytes, there)) {
    const offset = piece.offset + from;
    if (kind === 'data') {
      await into.write(offset, bytes.subarray(from, to), { signal });
      tally.written += to - from;
    } else if (kind === 'zero' && how !== 'fresh') {
      await into.zero(offset, to - from, { signal });
      tally.zeroed += to - from;
    }
  }
}

interface Run {
  readonly kind: 'data' | 'zero' | 'same';
  readonly from: number;
  readonly to: number;
}

/** Runs of cells alike; cells lie on the grid of the disk, not of the piece. */
function* runsOf(offset: number, bytes: Uint8Array, there: Uint8Array | undefined): Generator<Run> {
  let open: Run | undefined;
  for (let from = 0; from < bytes.length;) {
    const to = Math.min(bytes.length, from + CELL_BYTES - ((offset + from) % CELL_BYTES));
    const kind = kindOf(bytes.subarray(from, to), there?.subarray(from, to));
    if (open?.kind === kind) open = { ...open, to };
    else {
      if (open) yield open;
      open = { kind, from, to };
    }
    from = to;
  }
  if (open) yield open;
}

function kindOf(cell: Uint8Array, there: Uint8Array | undefined): Run['kind'] {
  if (there && Buffer.compare(cell, there) === 0) return 'same';
  return isZero(cell) ? 'zero' : 'data';
}
