/**
 * What lies where on a volume, asked for changed ranges only.
 *
 *   runs of named areas (sorted, in memory, bounded)      $MFT, journal, inode tables, pagefile ...
 *   whatever lies between them                            `files` or `free`, by the allocation bitmap
 *
 * The bitmap of a volume of 64 TiB takes 2 GiB, so a page of it is read when a range in it is asked for, and only the last
 * page is kept: ranges come in ascending order.
 */
import { endOf, type Extent } from '../extents/index.ts';
import { filesystemFaults } from './faults.ts';

/** Each takes about 60 bytes. A volume of 64 TiB with the usual groups of ext4 has 100 000. */
const RUNS_MAX = 262_144;

export interface AreaPiece extends Extent {
  readonly area: string;
}

export interface VolumeMap {
  readonly fileSystem: 'ntfs' | 'ext4';
  readonly label: string;
  /** What could not be located though the rest could: its bytes count as `files`. */
  readonly missing: readonly string[];
  /** Cuts a range of the volume into pieces of one area each, ascending. */
  pieces(extent: Extent): AsyncGenerator<AreaPiece>;
}

export interface BitmapPage {
  readonly firstUnit: number;
  readonly units: number;
  /** Bit 0 of byte 0 is the first unit; set: in use. */
  readonly bits: Uint8Array;
}

export interface AllocationBitmap {
  /** Bytes of a block or cluster. */
  readonly unitBytes: number;
  /** The page that has this unit. */
  page(unit: number): Promise<BitmapPage>;
}

/**
 * Runs as they are found, in any order. Neighbours of one area are joined at once: of a volume with many groups, where bitmaps
 * and tables of sixteen groups lie side by side, few are left. Throws `FILESYSTEM_TOO_LARGE`.
 */
export class AreaRuns {
  readonly #what: string;
  readonly #lists = new Map<string, AreaPiece[]>();
  #count = 0;

  constructor(what: string) {
    this.#what = what;
  }

  add({ offset, length, area }: AreaPiece): void {
    const list = this.#lists.get(area) ?? [];
    this.#lists.set(area, list);
    const last = list.at(-1);
    if (last && endOf(last) === offset) {
      list[list.length - 1] = { ...last, length: last.length + length };
      return;
    }
    list.push({ offset, length, area });
    this.#count += 1;
    if (this.#count > RUNS_MAX) throw filesystemFaults.tooLarge({ what: this.#what, limit: RUNS_MAX });
  }

  /** Sorted, without overlap; where runs overlap, which no sound volume has, the one that begins first counts. */
  arranged(): AreaPiece[] {
    const result: AreaPiece[] = [];
    for (const run of [...this.#lists.values()].flat().sort((a, b) => a.offset - b.offset)) {
      const last = result.at(-1);
      const offset = last ? Math.max(run.offset, endOf(last)) : run.offset;
      const length = endOf(run) - offset;
      if (length <= 0) continue;
      if (last && last.area === run.area && endOf(last) === offset)
        result[result.length - 1] = { ...last, length: last.length + length };
      else result.push({ offset, length, area: run.area });
    }
    return result;
  }
}

export class AreaMap {
  readonly #runs: readonly AreaPiece[];
  readonly #bitmap: AllocationBitmap;
  #page: BitmapPage | undefined;

  /** `runs` as {@link AreaRuns.arranged} gives them. */
  constructor(runs: readonly AreaPiece[], bitmap: AllocationBitmap) {
    this.#runs = runs;
    this.#bitmap = bitmap;
  }

  async *pieces(extent: Extent): AsyncGenerator<AreaPiece> {
    let at = extent.offset;
    for (let i = this.#firstAfter(at); at < endOf(extent); i += 1) {
      const run = this.#runs[i];
      const start = Math.min(run?.offset ?? Infinity, endOf(extent));
      if (start > at) yield* this.#byAllocation(at, start);
      at = Math.max(at, start);
      if (!run || at >= endOf(extent)) return;
      const end = Math.min(endOf(run), endOf(extent));
      yield { offset: at, length: end - at, area: run.area };
      at = end;
    }
  }

  /** The first run that ends after this byte. */
  #firstAfter(offset: number): number {
    let [low, high] = [0, this.#runs.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (endOf(this.#runs[middle]!) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async *#byAllocation(from: number, to: number): AsyncGenerator<AreaPiece> {
    const { unitBytes } = this.#bitmap;
    for (let at = from; at < to;) {
      const unit = Math.floor(at / unitBytes);
      const page = await this.#pageOf(unit);
      const used = isUsed(page, unit);
      const lastUnit = Math.min(page.firstUnit + page.units, Math.ceil(to / unitBytes));
      let next = unit + 1;
      while (next < lastUnit && isUsed(page, next) === used) next += 1;
      const end = Math.min(to, next * unitBytes);
      yield { offset: at, length: end - at, area: used ? 'files' : 'free' };
      at = end;
    }
  }

  async #pageOf(unit: number): Promise<BitmapPage> {
    const kept = this.#page;
    if (kept && unit >= kept.firstUnit && unit < kept.firstUnit + kept.units) return kept;
    return (this.#page = await this.#bitmap.page(unit));
  }
}

function isUsed(page: BitmapPage, unit: number): boolean {
  const bit = unit - page.firstUnit;
  return ((page.bits[bit >>> 3]! >>> (bit & 7)) & 1) === 1;
}
