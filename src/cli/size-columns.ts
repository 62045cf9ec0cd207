/** The six figures of a disk as columns, always separate, always in this order. On a narrow terminal some go (table.ts). */
import type { Sizes } from './engine.ts';
import { bytesCell } from './numbers.ts';
import type { Column } from './table.ts';

/** What was stored and what changed is asked for daily, the size of the virtual disk is known. */
const DROPPED_FIRST: Partial<Record<keyof Sizes, number>> = {
  allocated: 1,
  virtual: 2,
  new: 3,
  changed: 4,
  read: 6,
};

const TITLES: readonly (keyof Sizes)[] = ['virtual', 'allocated', 'read', 'changed', 'new', 'stored'];

export function sizeColumns<Row>(
  sizesOf: (row: Row) => Sizes,
  only: readonly (keyof Sizes)[] = TITLES,
): Column<Row>[] {
  return only.map((title) => ({
    title: title.toUpperCase(),
    align: 'right',
    ...(DROPPED_FIRST[title] === undefined ? {} : { dropFirst: DROPPED_FIRST[title] }),
    cell: (row) => bytesCell(sizesOf(row)[title]),
  }));
}
