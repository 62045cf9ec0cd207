/** A terminal that remembers what is on its screen: enough of one to see what a user would see. */
import { Writable } from 'node:stream';
import { textWidth } from './text-width.ts';

/** A row of cells; the second cell of a wide character holds an empty string. */
type Row = string[];

export class Screen extends Writable {
  readonly isTTY = true;
  columns: number;
  /** Everything written, as it was. */
  written = '';
  /** How often something was written. */
  writes = 0;
  #rows: Row[] = [[]];
  #row = 0;
  #column = 0;

  constructor(columns: number) {
    super({ decodeStrings: false });
    this.columns = columns;
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    const text = chunk.toString();
    this.written += text;
    this.writes += 1;
    for (const [token] of text.matchAll(/\u001b\[\d*[A-Za-z]|[^]/gu)) this.#obey(token); // oxlint-disable-line no-control-regex
    done();
  }

  /** What is on the screen, without colours, without spaces at the ends of lines, without the empty last line. */
  get lines(): string[] {
    const lines = this.#rows.map((row) => row.join('').trimEnd());
    return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  }

  /** Makes the terminal narrower or wider: longer lines wrap anew, as terminals do. */
  resize(columns: number): void {
    this.columns = columns;
    const above = this.#rows.slice(0, this.#row).flatMap((row) => wrap(row, columns));
    const at = above.length + Math.floor(Math.max(0, this.#column - 1) / columns);
    this.#rows = this.#rows.flatMap((row) => wrap(row, columns));
    this.#column -= (at - above.length) * columns;
    this.#row = at;
  }

  #obey(token: string): void {
    if (token === '\n') this.#nextRow();
    else if (token === '\r') this.#column = 0;
    else if (token === '\u001b[J') this.#eraseDownwards();
    else if (/^\u001b\[\d+A$/.test(token)) this.#row = Math.max(0, this.#row - Number(token.slice(2, -1))); // oxlint-disable-line no-control-regex
    else if (!token.startsWith('\u001b')) this.#put(token);
  }

  #put(char: string): void {
    const cells = [char, '', ''].slice(0, textWidth(char));
    if (this.#column + cells.length > this.columns) this.#nextRow();
    this.#rows[this.#row]!.splice(this.#column, cells.length, ...cells);
    this.#column += cells.length;
  }

  #nextRow(): void {
    this.#row += 1;
    this.#column = 0;
    if (this.#row === this.#rows.length) this.#rows.push([]);
  }

  #eraseDownwards(): void {
    this.#rows.length = this.#row + 1;
    this.#rows[this.#row]!.length = Math.min(this.#rows[this.#row]!.length, this.#column);
  }
}

function wrap(row: Row, columns: number): Row[] {
  const pieces: Row[] = [];
  for (let at = 0; at < row.length; at += columns) pieces.push(row.slice(at, at + columns));
  return pieces.length > 0 ? pieces : [[]];
}
