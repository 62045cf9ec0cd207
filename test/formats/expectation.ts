/**
 * What a change of a file may do to the disk in it. The change knows; the reader under test does not.
 *
 *   opens 'yes'     the disk opens, and outside of `touched` every byte is as before
 *   opens 'no'      the file is refused with a fault of ours
 *   opens 'maybe'   either of the two: never other bytes outside of `touched`
 *
 * Inside of `touched` the bytes are those of `content` when it says which; else they are not judged.
 */
import { clip, intersect, normalise, type Extent } from '../../src/extents/index.ts';

/** Writes what is expected of `window` into `into`, which holds what was there before the change. */
export type ExpectedContent = (window: Extent, into: Buffer) => void;

export interface Expectation {
  readonly opens: 'yes' | 'no' | 'maybe';
  /** Ranges of the virtual disk; `'any'` includes its size. Default: none. */
  readonly touched?: readonly Extent[] | 'any';
  readonly content?: ExpectedContent;
  /** The whole content is one of these. */
  readonly variants?: readonly Buffer[];
  /** Bytes of the disk when they are not what they were. */
  readonly size?: number;
}

export const SAME: Expectation = { opens: 'yes' };
export const REFUSED: Expectation = { opens: 'no' };
export const SAME_OR_REFUSED: Expectation = { opens: 'maybe' };
export const ANYTHING: Expectation = { opens: 'maybe', touched: 'any' };

/** Of several changes at once: what any of them touches, and whether it opens is open. */
export function together(all: readonly Expectation[]): Expectation {
  if (all.some(isUnbounded)) return ANYTHING;
  const touched = normalise(all.flatMap(({ touched: ranges }) => (ranges as Extent[] | undefined) ?? []));
  const resized = all.flatMap(({ size }) => (size === undefined ? [] : [size]));
  return { opens: 'maybe', touched, ...(resized.length === 0 ? {} : { size: resized.at(-1)! }) };
}

function isUnbounded({ touched, variants }: Expectation): boolean {
  return touched === 'any' || variants !== undefined;
}

/** The first byte of a window that is not as expected; `undefined` when there is none. */
export function wrongByte(
  got: Buffer,
  before: Buffer,
  window: Extent,
  { touched = [], content }: Expectation,
): number | undefined {
  if (touched === 'any') return undefined;
  if (content) content(window, before);
  if (got.equals(before)) return undefined;
  for (let i = 0; i < got.length; i += 1) {
    if (got[i] === before[i]) continue;
    const at = window.offset + i;
    const unknown =
      !content && touched.some((range) => at >= range.offset && at < range.offset + range.length);
    if (!unknown) return at;
  }
  return undefined;
}

/** The part of `touched` in which `through` lets the file below be seen. */
export function seenThrough(expectation: Expectation, transparent: readonly Extent[]): Expectation {
  const { touched, content, ...rest } = expectation;
  if (touched === undefined || touched === 'any') return expectation;
  const ranges = [...intersect(normalise([...touched]), transparent)];
  if (!content) return { ...rest, touched: ranges };
  return {
    ...rest,
    touched: ranges,
    content: (window, into) => {
      const below = Buffer.from(into);
      content(window, below);
      for (const { offset, length } of partsIn(window, ranges)) {
        const from = offset - window.offset;
        below.copy(into, from, from, from + length);
      }
    },
  };
}

function partsIn(window: Extent, ranges: readonly Extent[]): Extent[] {
  return [...intersect(ranges, clip([window], window.offset + window.length))];
}
