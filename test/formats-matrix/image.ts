/** One image of the matrix: how it is made, and what must be read from it. */
import type { MemoryDisk } from '../../src/disk/index.ts';

export interface Made {
  /** Leaf first. */
  readonly files: readonly string[];
  /** What was put into it. */
  readonly content: MemoryDisk;
  /** Too much of it may hold data for the slow decoder to look at all of it. */
  readonly narrow?: boolean;
}

export interface MatrixImage {
  readonly name: string;
  /** Its row in the table of images of docs/formats/cross-validation.md. */
  readonly trait: string;
  /** Its rows in the table of what refuses any image there. */
  readonly modifiers?: readonly string[];
  readonly format: 'vhdx' | 'vhd';
  /** Makes it in an empty folder. */
  make(folder: string): Promise<Made>;
}

/** What holds of an image besides its trait. */
export function modifiersOf(shape: {
  readonly size: number;
  readonly sectorSize: number;
  readonly leftOpen?: boolean;
}): string[] {
  const { size, sectorSize, leftOpen = false } = shape;
  return [
    ...(sectorSize === 512 ? [] : ['sectors of 4 KiB']),
    ...(size % (8 * sectorSize) === 0 ? [] : ['size not whole groups of eight sectors']),
    ...(leftOpen ? ['left open by our writer'] : []),
  ];
}

/** All combinations of the values of `factors`. */
export function product<F extends Record<string, readonly unknown[]>>(
  factors: F,
): { [K in keyof F]: F[K][number] }[] {
  let rows: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(factors)) {
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value })));
  }
  return rows as { [K in keyof F]: F[K][number] }[];
}

/** Enough of `rows` that each two values that meet in some row meet in one that is left: most faults need no more. */
export function pairwise<R extends object>(rows: readonly R[]): R[] {
  const pairsOf = (row: R): string[] => {
    const values = Object.entries(row).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    return values.flatMap((one, n) => values.slice(n + 1).map((other) => `${one} ${other}`));
  };
  const missing = new Set(rows.flatMap(pairsOf));
  const candidates = new Set(rows);
  const kept: R[] = [];
  while (missing.size > 0) {
    let best: R | undefined;
    let bestCount = 0;
    for (const row of candidates) {
      const count = pairsOf(row).filter((pair) => missing.has(pair)).length;
      if (count > bestCount) [best, bestCount] = [row, count];
    }
    candidates.delete(best!);
    pairsOf(best!).forEach((pair) => missing.delete(pair));
    kept.push(best!);
  }
  return kept;
}
