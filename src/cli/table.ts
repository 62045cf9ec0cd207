/**
 * Tables of text: aligned, numbers to the right, nothing cut, so that a pipe sees all of it. On a terminal too narrow for a
 * table the columns that say least are left out, one after the other; `--json` has them all.
 */
import { padEnd, padStart, printable, textWidth } from './text-width.ts';

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'right';
  /** Columns with a number are left out of a table that is too wide, the lowest first. */
  readonly dropFirst?: number;
  /** May be empty; control characters are made visible. */
  readonly cell: (row: Row) => string;
}

/** Lines of the table, the titles first. Columns that are empty in every row are left out. `width`: cells of a line. */
export function tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width = Infinity,
): string[] {
  const filled = columns
    .map((column) => ({ column, cells: rows.map((row) => printable(column.cell(row))) }))
    .filter(({ cells }) => rows.length === 0 || cells.some((cell) => cell !== ''));
  const laid = filled.map(({ column, cells }) => ({ column, cells: layOut(column, cells) }));
  const kept = fitting(laid, width);
  return [...rows.keys(), rows.length].map((line) =>
    kept
      .map(({ cells }) => cells[line]!)
      .join('  ')
      .trimEnd(),
  );
}

interface LaidOut<Row> {
  readonly column: Column<Row>;
  readonly cells: readonly string[];
}

function fitting<Row>(laid: readonly LaidOut<Row>[], width: number): readonly LaidOut<Row>[] {
  const used = laid.reduce((sum, { cells }) => sum + textWidth(cells[0]!) + 2, -2);
  const droppable = laid.filter(({ column }) => column.dropFirst !== undefined);
  if (used <= width || droppable.length === 0) return laid;
  const least = droppable.reduce((a, b) => (b.column.dropFirst! < a.column.dropFirst! ? b : a));
  return fitting(
    laid.filter((each) => each !== least),
    width,
  );
}

/** The title and the cells of one column, all of one width. */
function layOut<Row>(column: Column<Row>, cells: readonly string[]): string[] {
  const texts = [column.title, ...cells];
  const width = Math.max(...texts.map(textWidth));
  return texts.map((text) => (column.align === 'right' ? padStart(text, width) : padEnd(text, width)));
}
