/** Tables of text: aligned, numbers to the right, nothing cut, so that a pipe sees all of it. */
import { padEnd, padStart, printable, textWidth } from './text-width.ts';

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'right';
  /** May be empty; control characters are made visible. */
  readonly cell: (row: Row) => string;
}

/** Lines of the table, the titles first. Columns that are empty in every row are left out. */
export function tableLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const filled = columns
    .map((column) => ({ column, cells: rows.map((row) => printable(column.cell(row))) }))
    .filter(({ cells }) => rows.length === 0 || cells.some((cell) => cell !== ''));
  const laid = filled.map(({ column, cells }) => layOut(column, cells));
  return [...rows.keys(), rows.length].map((line) =>
    laid
      .map((cells) => cells[line]!)
      .join('  ')
      .trimEnd(),
  );
}

/** The title and the cells of one column, all of one width. */
function layOut<Row>(column: Column<Row>, cells: readonly string[]): string[] {
  const texts = [column.title, ...cells];
  const width = Math.max(...texts.map(textWidth));
  return texts.map((text) => (column.align === 'right' ? padStart(text, width) : padEnd(text, width)));
}
