/** The six figures of several disks, each added to its like. */
import type { Sizes } from './engine.ts';

export const NO_SIZES: Sizes = { virtual: 0, allocated: 0, read: 0, changed: 0, new: 0, stored: 0 };

export function sumOf(all: readonly Sizes[]): Sizes {
  const add = (a: Sizes, b: Sizes): Sizes => ({
    virtual: a.virtual + b.virtual,
    allocated: a.allocated + b.allocated,
    read: a.read + b.read,
    changed: a.changed + b.changed,
    new: a.new + b.new,
    stored: a.stored + b.stored,
  });
  return all.reduce(add, NO_SIZES);
}
