/**
 * Two disks byte by byte, whatever their formats. What neither holds is zeros in both and is not read. Of disks of two sizes
 * the longer one must be zeros beyond the shorter one's end, because that is what the shorter one would be padded with.
 */
import { MiB, mapOrdered, silentProgress, type Progress } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import { clip, endOf, piecesOf, unionStream, type Extent } from '../extents/index.ts';
import { LocalDisk, type LocalDiskOptions } from './local-disk.ts';

export interface CompareOptions extends LocalDiskOptions {
  /** Go on after the first difference and count. */
  readonly all?: boolean;
  /** Disks of two sizes differ, whatever they hold. */
  readonly strict?: boolean;
  readonly progress?: Progress;
}

export interface DiskComparison {
  readonly equal: boolean;
  /** Bytes of the two disks. */
  readonly virtualBytes: readonly [number, number];
  /** Offset of the first byte that differs; absent when only the sizes do. */
  readonly firstDifference?: number;
  /** With `all` only, as the next. */
  readonly differingBytes?: number;
  /** Sectors of 512 bytes with a byte that differs. */
  readonly differingSectors?: number;
  /** Bytes of the disk that were compared; the rest is zeros in both. */
  readonly comparedBytes: number;
}

export interface CompareRecord extends DiskComparison {
  readonly paths: readonly [string, string];
}

const SECTOR = 512;
const READS_AT_ONCE = 8;

/** Faults: those of {@link LocalDisk.open} and of reading, `FLOW_SOURCE_CHANGED`. */
export async function compareDisks(
  one: string,
  other: string,
  options: CompareOptions = {},
): Promise<CompareRecord> {
  await using a = await LocalDisk.open(one, options);
  await using b = await LocalDisk.open(other, options);
  options.progress?.phase(`compare ${one} with ${other}`, Math.max(a.disk.size, b.disk.size));
  const compared = await compareContent(a.disk, b.disk, options);
  await a.checkUnchanged();
  await b.checkUnchanged();
  return { paths: [one, other], ...compared };
}

/** Both disks stay open. */
export async function compareContent(a: Disk, b: Disk, options: CompareOptions): Promise<DiskComparison> {
  const { all = false, strict = false, progress = silentProgress } = options;
  const virtualBytes = [a.size, b.size] as const;
  const sizesDiffer = strict && a.size !== b.size;
  if (sizesDiffer && !all) return { equal: false, virtualBytes, comparedBytes: 0 };
  const differences = new Differences();
  let reached = 0;
  for await (const piece of piecesCompared(a, b, options)) {
    differences.add(piece);
    progress.advance(endOf(piece) - reached);
    reached = endOf(piece);
    if (differences.first !== undefined && !all) break;
  }
  if (differences.first === undefined || all) progress.advance(Math.max(a.size, b.size) - reached);
  const { first, bytes, sectors, comparedBytes } = differences;
  return {
    equal: first === undefined && !sizesDiffer,
    virtualBytes,
    ...(first === undefined ? {} : { firstDifference: first }),
    ...(all ? { differingBytes: bytes, differingSectors: sectors } : {}),
    comparedBytes,
  };
}

/** What was found in a piece of both disks; offsets are those of the disk. */
interface ComparedPiece extends Extent {
  readonly first?: number;
  readonly bytes: number;
  readonly sectors: number;
}

class Differences {
  first: number | undefined;
  bytes = 0;
  sectors = 0;
  comparedBytes = 0;

  add(piece: ComparedPiece): void {
    this.first ??= piece.first;
    this.bytes += piece.bytes;
    this.sectors += piece.sectors;
    this.comparedBytes += piece.length;
  }
}

async function* piecesCompared(a: Disk, b: Disk, options: CallOptions): AsyncGenerator<ComparedPiece> {
  const { signal } = options;
  const pieces = piecesOf(
    unionStream(a.allocated(undefined, { signal }), b.allocated(undefined, { signal })),
    MiB,
  );
  const buffers: (readonly [Uint8Array, Uint8Array])[] = [];
  yield* mapOrdered(pieces, READS_AT_ONCE, async (piece) => {
    const pair = buffers.pop() ?? ([new Uint8Array(MiB), new Uint8Array(MiB)] as const);
    const left = pair[0].subarray(0, piece.length);
    const right = pair[1].subarray(0, piece.length);
    await Promise.all([readPadded(a, piece, left, signal), readPadded(b, piece, right, signal)]);
    const compared = comparePiece(piece, left, right);
    buffers.push(pair);
    return compared;
  });
}

/** Beyond the end of the disk there are zeros. */
async function readPadded(
  disk: Disk,
  piece: Extent,
  into: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const inside = clip([piece], disk.size)[0]?.length ?? 0;
  into.fill(0, inside);
  if (inside > 0) await disk.read(piece.offset, into.subarray(0, inside), { signal });
}

function comparePiece(piece: Extent, left: Uint8Array, right: Uint8Array): ComparedPiece {
  const same = { ...piece, bytes: 0, sectors: 0 };
  if (Buffer.compare(left, right) === 0) return same;
  let [bytes, sectors, first] = [0, 0, -1];
  for (let at = 0; at < left.length;) {
    // What disks say they hold begins at a sector of the disk.
    const end = Math.min(left.length, at + SECTOR);
    const count = differingBytes(left, right, at, end);
    if (count > 0 && first < 0) first = firstDifference(left, right, at);
    bytes += count;
    sectors += count > 0 ? 1 : 0;
    at = end;
  }
  return { ...piece, first: piece.offset + first, bytes, sectors };
}

function differingBytes(left: Uint8Array, right: Uint8Array, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at += 1) if (left[at] !== right[at]) count += 1;
  return count;
}

function firstDifference(left: Uint8Array, right: Uint8Array, start: number): number {
  let at = start;
  while (left[at] === right[at]) at += 1;
  return at;
}
