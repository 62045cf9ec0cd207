/**
 * Extents: half-open byte ranges `[offset, offset + length)` of a disk, and sets of them.
 *
 * A *set* is an array that is sorted by offset, without overlap, touching extents merged, none empty.
 * {@link normalise} makes one of anything; every other function takes sets and returns sets.
 */
export interface Extent {
  /** Bytes from the start of the disk. */
  readonly offset: number;
  /** Bytes, more than zero. */
  readonly length: number;
}

/** Sorts, drops empty extents, merges overlapping and touching ones. */
export function normalise(extents: readonly Extent[]): Extent[] {
  const sorted = extents.filter((e) => e.length > 0).sort((a, b) => a.offset - b.offset);
  const set: Extent[] = [];
  for (const extent of sorted) {
    const last = set.at(-1);
    if (last && extent.offset <= endOf(last)) {
      const end = Math.max(endOf(last), endOf(extent));
      set[set.length - 1] = { offset: last.offset, length: end - last.offset };
    } else {
      set.push({ offset: extent.offset, length: extent.length });
    }
  }
  return set;
}

export function endOf(extent: Extent): number {
  return extent.offset + extent.length;
}

export function totalBytes(set: readonly Extent[]): number {
  return set.reduce((sum, extent) => sum + extent.length, 0);
}

export function union(a: readonly Extent[], b: readonly Extent[]): Extent[] {
  return normalise([...a, ...b]);
}

export function intersect(a: readonly Extent[], b: readonly Extent[]): Extent[] {
  const set: Extent[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const start = Math.max(a[i]!.offset, b[j]!.offset);
    const end = Math.min(endOf(a[i]!), endOf(b[j]!));
    if (start < end) set.push({ offset: start, length: end - start });
    if (endOf(a[i]!) < endOf(b[j]!)) i += 1;
    else j += 1;
  }
  return set;
}

/** What is in `a` and not in `b`. */
export function subtract(a: readonly Extent[], b: readonly Extent[]): Extent[] {
  const set: Extent[] = [];
  let j = 0;
  for (const extent of a) {
    let start = extent.offset;
    while (j < b.length && endOf(b[j]!) <= start) j += 1;
    for (let k = j; k < b.length && b[k]!.offset < endOf(extent); k += 1) {
      if (b[k]!.offset > start) set.push({ offset: start, length: b[k]!.offset - start });
      start = Math.max(start, endOf(b[k]!));
    }
    if (start < endOf(extent)) set.push({ offset: start, length: endOf(extent) - start });
  }
  return set;
}

/** The parts inside `[0, size)`. */
export function clip(set: readonly Extent[], size: number): Extent[] {
  return intersect(set, size > 0 ? [{ offset: 0, length: size }] : []);
}

/** Grows every extent outward to multiples of `grid`; the result is clipped to `size`. */
export function alignOut(set: readonly Extent[], grid: number, size: number): Extent[] {
  const grown = set.map((extent) => {
    const start = Math.floor(extent.offset / grid) * grid;
    return { offset: start, length: Math.ceil(endOf(extent) / grid) * grid - start };
  });
  return clip(normalise(grown), size);
}
