/** The six figures of a disk as columns, always separate, always in this order. */
import type { Sizes } from './engine.ts';
import { bytesCell } from './numbers.ts';
import type { Column } from './table.ts';

const TITLES: readonly (keyof Sizes)[] = ['virtual', 'allocated', 'read', 'changed', 'new', 'stored'];

export function sizeColumns<Row>(
  sizesOf: (row: Row) => Sizes,
  only: readonly (keyof Sizes)[] = TITLES,
): Column<Row>[] {
  return only.map((title) => ({
    title: title.toUpperCase(),
    align: 'right',
    cell: (row) => bytesCell(sizesOf(row)[title]),
  }));
}
