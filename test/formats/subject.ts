/** Disks in memory whose files are changed: what they hold, and the ways in which one of their files can be changed. */
import type { Extent } from '../../src/extents/index.ts';
import { ANYTHING, together, type Expectation } from './expectation.ts';
import type { MutableImage, Patch, Seal } from './mutable-image.ts';
import type { Random } from './random.ts';

/** One change of a file and what it may do. */
export interface Mutant {
  /** What was changed, for the report of a failure. */
  readonly what: string;
  readonly patches: readonly Patch[];
  readonly seals?: readonly Seal[];
  /** Bytes of the file when it is cut or made longer. */
  readonly fileSize?: number;
  readonly expect: Expectation;
  /** Among other changes, when these can make more of it than it is alone: the copy that takes over. */
  readonly amongOthers?: Expectation;
}

export interface Mutator {
  readonly name: string;
  /** How often, against the others. */
  readonly weight: number;
  readonly make: (random: Random) => Mutant;
}

export interface Subject {
  readonly name: string;
  /** The file to open. */
  readonly path: string;
  /** All files of the disk. */
  readonly files: ReadonlyMap<string, MutableImage>;
  /** The one that is changed. */
  readonly image: MutableImage;
  /** What the disk holds while nothing is changed. */
  readonly content: Buffer;
  /** What of it is looked at in every trial: beginning, middle and end of each block. */
  readonly windows: readonly Extent[];
  readonly mutators: readonly Mutator[];
}

/** Beginning, middle and end of each block of a disk of `size` bytes. */
export function windowsOf(size: number, blockSize: number): Extent[] {
  const piece = 4096;
  const windows: Extent[] = [];
  for (let start = 0; start < size; start += blockSize) {
    const length = Math.min(blockSize, size - start);
    const middle = Math.floor(length / 2 / piece) * piece;
    for (const at of new Set([0, middle, Math.max(0, length - piece)])) {
      windows.push({ offset: start + at, length: Math.min(piece, length - at) });
    }
  }
  return windows;
}

/** One change, or up to four at once. */
export function draw(subject: Subject, random: Random): Mutant[] {
  const count = random.oneIn(4) ? random.between(2, 5) : 1;
  return Array.from({ length: count }, () => weighted(subject.mutators, random).make(random));
}

function weighted(mutators: readonly Mutator[], random: Random): Mutator {
  let left = random.below(mutators.reduce((sum, { weight }) => sum + weight, 0));
  return mutators.find(({ weight }) => (left -= weight) < 0)!;
}

export function expectationOf(mutants: readonly Mutant[]): Expectation {
  if (mutants.length === 1) return mutants[0]!.expect;
  return together(mutants.map(({ expect, amongOthers }) => amongOthers ?? expect));
}

/** Two changes of one place undo or complete each other; a length that two give is the last one's. */
export function applyTo(image: MutableImage, mutants: readonly Mutant[]): void {
  image.apply(
    mutants.flatMap(({ patches }) => patches),
    mutants.flatMap(({ seals }) => seals ?? []),
  );
  for (const { fileSize } of mutants) if (fileSize !== undefined) image.size = fileSize;
}

/** Cut anywhere, or with something behind its end. */
export function resizing(image: MutableImage, cut: Expectation, grown: Expectation, grid: number): Mutator[] {
  const size = image.originalSize;
  const cutTo = (random: Random): number =>
    random.oneIn(2) ? random.below(size) : Math.min(size - 1, random.below(size / grid) * grid);
  return [
    {
      name: 'cut',
      weight: 3,
      make: (random) => {
        const fileSize = cutTo(random);
        return { what: `cut at ${fileSize}`, patches: [], fileSize, expect: cut };
      },
    },
    {
      name: 'made longer',
      weight: 1,
      make: (random) => {
        const more = random.pick([1, 511, 512, 4096, grid, random.between(1, 2 ** 20)]);
        const bytes = random.bytes(Math.min(more, 512));
        const patches = [{ offset: size, bytes }];
        return { what: `${more} bytes more`, patches, fileSize: size + more, expect: grown };
      },
    },
  ];
}

/** What was written to the wrong place: a piece of the tables over another one. */
export function misplacing(image: MutableImage, end: number): Mutator {
  return {
    name: 'misplaced',
    weight: 2,
    make: (random) => {
      const length = random.pick([8, 32, 512, 4096, 65_536]);
      const place = (): number => Math.floor(random.below(Math.max(1, end - length)) / length) * length;
      const [from, offset] = [place(), place()];
      const bytes = Buffer.from(image.bytes.subarray(from, from + length));
      const what = `${length} bytes of ${from} at ${offset}`;
      return { what, patches: [{ offset, bytes }], expect: ANYTHING };
    },
  };
}
