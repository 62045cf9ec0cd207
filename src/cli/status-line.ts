/**
 * The last line of a terminal, redrawn in place. Everything else that is written to the terminal goes around it:
 * {@link StatusLine.clear} before, {@link StatusLine.redraw} after.
 */
import type { OutputStream } from './io.ts';
import { cutTo, textWidth } from './text-width.ts';

const CLEAR_TO_END_OF_SCREEN = '\r\u001b[J';

export class StatusLine {
  readonly #stream: OutputStream;
  #text = '';
  /** Cells that are on the screen now. */
  #shownCells = 0;

  constructor(stream: OutputStream) {
    this.#stream = stream;
  }

  /** Cells a line may have. The last column stays free: writing there makes some terminals wrap. */
  get cells(): number {
    return Math.max(1, (this.#stream.columns ?? 80) - 1);
  }

  show(text: string): void {
    this.#text = text;
    this.redraw();
  }

  redraw(): void {
    if (this.#text === '') return;
    const text = cutTo(this.#text, this.cells);
    this.#stream.write(this.#erasure() + text);
    this.#shownCells = textWidth(text);
  }

  /** Takes the line off the screen and keeps its text for {@link redraw}. */
  clear(): void {
    if (this.#shownCells === 0) return;
    this.#stream.write(this.#erasure());
    this.#shownCells = 0;
  }

  end(): void {
    this.clear();
    this.#text = '';
  }

  /** A terminal made narrower has wrapped the old line: go up to where it begins, then erase downwards. */
  #erasure(): string {
    const rowsAbove = Math.max(0, Math.ceil(this.#shownCells / (this.cells + 1)) - 1);
    return (rowsAbove > 0 ? `\u001b[${rowsAbove}A` : '') + CLEAR_TO_END_OF_SCREEN;
  }
}
