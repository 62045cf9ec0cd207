/**
 * The last lines of a terminal, redrawn in place. Everything else that is written to the terminal goes around it:
 * {@link StatusLine.clear} before, {@link StatusLine.redraw} after.
 */
import type { OutputStream } from './io.ts';
import { cutTo, textWidth } from './text-width.ts';

const CELLS_FREE = 3;
const CLEAR_TO_END_OF_SCREEN = '\r\u001b[J';

export class StatusLine {
  readonly #stream: OutputStream;
  #lines: readonly string[] = [];
  /** Cells of each line that is on the screen now. */
  #shownCells: readonly number[] = [];

  constructor(stream: OutputStream) {
    this.#stream = stream;
  }

  /**
   * Cells a line may have. The last columns stay free: writing into the very last makes some terminals wrap, and so would the `^C` that
   * a terminal writes behind the line when Ctrl-C is pressed, which would then stay.
   */
  get cells(): number {
    return Math.max(1, this.#columns - CELLS_FREE);
  }

  get #columns(): number {
    return this.#stream.columns ?? 80;
  }

  /** Lines there is room for: what scrolls out at the top cannot be erased any more. */
  get rows(): number {
    return Math.max(1, (this.#stream.rows ?? 24) - 2);
  }

  show(...lines: readonly string[]): void {
    this.#lines = lines.slice(0, this.rows);
    this.redraw();
  }

  redraw(): void {
    if (this.#lines.length === 0) return;
    const lines = this.#lines.map((line) => cutTo(line, this.cells));
    this.#stream.write(this.#erasure() + lines.join('\n'));
    this.#shownCells = lines.map(textWidth);
  }

  /** Takes the lines off the screen and keeps their text for {@link redraw}. */
  clear(): void {
    if (this.#shownCells.length === 0) return;
    this.#stream.write(this.#erasure());
    this.#shownCells = [];
  }

  end(): void {
    this.clear();
    this.#lines = [];
  }

  /** A terminal made narrower has wrapped the old lines: go up to where the first begins, then erase downwards. */
  #erasure(): string {
    const rowsOf = (cells: number): number => Math.max(1, Math.ceil(cells / this.#columns));
    const rowsAbove = Math.max(0, this.#shownCells.reduce((sum, cells) => sum + rowsOf(cells), 0) - 1);
    return (rowsAbove > 0 ? `\u001b[${rowsAbove}A` : '') + CLEAR_TO_END_OF_SCREEN;
  }
}
