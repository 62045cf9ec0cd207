/**
 * How the host words an answer to `GetVirtualDiskChanges`. No document says anything about granularity, order, adjacency
 * or overlap of the ranges (facts: hyperv.md §1.5, §3.2), so each is a setting and a client must bear all of them.
 */
import { normalise, totalBytes, type Extent } from '../../src/extents/index.ts';
import { Random } from './random.ts';

export interface ReportOptions {
  /** Bytes of the grid changes are tracked on. Takes effect for disks opened afterwards. */
  readonly granularityBytes: number;
  readonly order: 'sorted' | 'reversed' | 'shuffled';
  /** Touching ranges are merged; otherwise every granule is a range of its own. */
  readonly coalesce: boolean;
  /** Ranges reach into their neighbours, and some are said twice. */
  readonly overlapping: boolean;
  /** Unchanged ranges added, as a share of the changed ones: 1 says as many again. */
  readonly overReport: number;
  /**
   * Changed granules left out, as a share of all: what no host may do, and the audit of increments is there to find. Which ones
   * is a matter of their place and the seed, so that a window asked for twice is answered alike.
   */
  readonly underReport: number;
  /** The last range may end beyond the disk. */
  readonly pastEnd: boolean;
  /** Ranges per answer; when there are more, ProcessedByteLength is short. 0: no limit. */
  readonly rangesMax: number;
  readonly seed: number;
}

export interface ChangeReport {
  readonly processedBytes: number;
  readonly ranges: readonly Extent[];
}

/** @param changed sorted, disjoint, inside the window `[offset, offset + length)` of a disk of `size` bytes */
export function reportChanges(
  changed: readonly Extent[],
  window: Extent,
  size: number,
  options: ReportOptions,
): ChangeReport {
  const random = new Random(options.seed ^ window.offset);
  let ranges = toldOf(changed, options);
  let end = window.offset + window.length;
  if (options.rangesMax > 0 && ranges.length > options.rangesMax) {
    end = ranges[options.rangesMax]!.offset;
    ranges = ranges.slice(0, options.rangesMax);
  }
  const answered = { offset: window.offset, length: end - window.offset };
  if (options.overReport > 0) ranges = [...ranges, ...invented(ranges, answered, options, random)];
  if (options.overlapping)
    ranges = ranges.flatMap((range) => overlapped(range, answered, options.granularityBytes));
  if (options.pastEnd && end === size) ranges = ranges.map((range) => stretched(range, size, options));
  return { processedBytes: answered.length, ranges: ordered(ranges, options.order, random) };
}

function toldOf(changed: readonly Extent[], options: ReportOptions): Extent[] {
  if (options.coalesce && options.underReport === 0) return [...changed];
  const told: Extent[] = [];
  for (const granule of granulesOf(changed, options.granularityBytes)) {
    if (isKeptBack(granule, options)) continue;
    told.push(granule);
    // No more are said in one answer, and one beyond tells where it ends.
    if (!options.coalesce && options.rangesMax > 0 && told.length > options.rangesMax) break;
  }
  return options.coalesce ? normalise(told) : told;
}

function isKeptBack({ offset }: Extent, { granularityBytes, seed, underReport }: ReportOptions): boolean {
  if (underReport === 0) return false;
  const granule = Math.floor(offset / granularityBytes);
  return new Random(Math.imul(seed + 1, 0x01000193) ^ granule).chance(underReport);
}

function* granulesOf(extents: readonly Extent[], grid: number): Generator<Extent> {
  for (const { offset, length } of extents) {
    for (let at = offset; at < offset + length;) {
      const end = Math.min(offset + length, (Math.floor(at / grid) + 1) * grid);
      yield { offset: at, length: end - at };
      at = end;
    }
  }
}

function invented(
  ranges: readonly Extent[],
  within: Extent,
  options: ReportOptions,
  random: Random,
): Extent[] {
  const granules = Math.ceil(totalBytes(ranges) / options.granularityBytes);
  const count = Math.min(1000, Math.ceil(granules * options.overReport));
  return Array.from({ length: count }, () => {
    const at = within.offset + Math.floor(random.below(within.length) / 512) * 512;
    return { offset: at, length: Math.min(options.granularityBytes, within.offset + within.length - at) };
  });
}

function overlapped(range: Extent, within: Extent, grid: number): Extent[] {
  const end = Math.min(within.offset + within.length, range.offset + range.length + grid);
  return [{ offset: range.offset, length: end - range.offset }, range];
}

function stretched(range: Extent, size: number, options: ReportOptions): Extent {
  const atEnd = range.offset + range.length === size;
  return atEnd ? { offset: range.offset, length: range.length + options.granularityBytes } : range;
}

function ordered(ranges: Extent[], order: ReportOptions['order'], random: Random): Extent[] {
  if (order === 'shuffled') return random.shuffle(ranges);
  const sorted = ranges.sort((a, b) => a.offset - b.offset);
  return order === 'reversed' ? sorted.toReversed() : sorted;
}
