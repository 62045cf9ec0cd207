/**
 * Where a run writes. Results go to stdout: text, or with `--json` exactly one JSON document. Everything said along the way
 * (notes, warnings, errors, prompts, progress) goes to stderr, above the status line when there is one, or with
 * `--progress json` as JSON lines.
 */
import type { OutputStream } from './io.ts';
import { errorLines, type ErrorReport } from './error-report.ts';
import { jsonText } from './json-document.ts';
import type { SecretLog } from './secret.ts';
import { StatusLine } from './status-line.ts';
import { printable } from './text-width.ts';
import type { Warning } from './engine.ts';

const COLOURS = { red: 31, green: 32, yellow: 33, grey: 90 } as const;

/** Text that has a colour where the stream is a terminal. */
export interface Coloured {
  readonly colour: keyof typeof COLOURS;
  readonly text: string;
}

export interface OutputOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Results as one JSON document on stdout. */
  readonly json: boolean;
  /** Everything on stderr as JSON lines. */
  readonly events: boolean;
  readonly secrets: SecretLog;
}

export class Output {
  readonly json: boolean;
  readonly statusLine: StatusLine;
  readonly #options: OutputOptions;
  readonly #remarks: Warning[] = [];
  #closed = false;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.json = options.json;
    this.statusLine = new StatusLine(options.stderr);
    // `hvlift points | head` closes the pipe early. Work under way goes on; only what is written is lost.
    options.stdout.on('error', () => {
      this.#closed = true;
    });
    options.stderr.on('error', () => {});
  }

  /** The reader of stdout is gone: there is no use in producing more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Cells of a line of stdout; nothing limits a pipe. */
  get width(): number {
    return this.#options.stdout.columns ?? Infinity;
  }

  /** True when stderr is a terminal that can redraw a line. */
  get animated(): boolean {
    return this.#options.stderr.isTTY === true && this.#options.env['TERM'] !== 'dumb';
  }

  /** The result: a document with `--json`, else lines. */
  async result(document: object, lines: () => readonly string[]): Promise<void> {
    return this.json ? this.write(`${jsonText(this.withRemarks(document))}\n`) : this.lines(lines());
  }

  /** A warning that belongs to whatever the run results in: to stderr now, and into the document. */
  remark(warning: Warning): void {
    this.#remarks.push(warning);
    this.warn(warning);
  }

  /** A document with the remarks among its `warnings`. */
  withRemarks(document: { readonly warnings?: readonly Warning[] }): object {
    if (this.#remarks.length === 0) return document;
    return { ...document, warnings: [...(document.warnings ?? []), ...this.#remarks] };
  }

  /** Lines of a result that comes in parts; nothing with `--json`. */
  async lines(lines: readonly string[]): Promise<void> {
    if (!this.json && lines.length > 0) await this.write(`${lines.map(printable).join('\n')}\n`);
  }

  /** One line of a result that comes in parts, some of its words coloured; nothing with `--json`. */
  async colouredLine(words: readonly (string | Coloured)[]): Promise<void> {
    if (this.json) return;
    const { stdout } = this.#options;
    const shown = words.map((word) =>
      typeof word === 'string' ? printable(word) : this.#paint(word.colour, printable(word.text), stdout),
    );
    await this.write(`${shown.join('')}\n`);
  }

  /** To stdout; waits while the reader is slow. */
  async write(text: string): Promise<void> {
    if (this.#closed) return;
    this.statusLine.clear();
    await this.bytes(Buffer.from(text));
    this.statusLine.redraw();
  }

  /** To a stdout that is no terminal; waits while the reader is slow. */
  async bytes(bytes: Uint8Array): Promise<void> {
    const { stdout } = this.#options;
    if (!this.#closed && !stdout.write(bytes)) await drained(stdout);
  }

  /** One line to stderr. */
  say(text: string): void {
    const clean = this.#options.secrets.scrub(text);
    if (this.#options.events) return this.event({ event: 'note', text: clean });
    this.#sayLine(printable(clean));
  }

  /** One JSON line to stderr. */
  event(event: Readonly<Record<string, unknown>>): void {
    this.#options.stderr.write(`${jsonText(event)}\n`);
  }

  /** Text that stays open for an answer. */
  ask(text: string): void {
    this.statusLine.clear();
    this.#options.stderr.write(text);
  }

  /** Something is not as it should be, though the work goes on. */
  warn(warning: Warning): void {
    if (this.#options.events) return this.event({ event: 'warning', ...warning });
    this.#sayMarked('warning', 'yellow', `warning ${warning.code}: ${warning.message}`);
    if (warning.remedy !== undefined) this.say(`do: ${warning.remedy}`);
  }

  /** What went wrong. */
  fault(report: ErrorReport): void {
    if (this.#options.events) return this.event({ event: 'error', ...report });
    const [first, ...rest] = errorLines(report);
    this.#sayMarked('error', 'red', first!);
    for (const line of rest) this.say(line);
  }

  #sayMarked(word: string, colour: keyof typeof COLOURS, line: string): void {
    const clean = printable(this.#options.secrets.scrub(line));
    this.#sayLine(this.#paint(colour, word, this.#options.stderr) + clean.slice(word.length));
  }

  #sayLine(line: string): void {
    this.statusLine.clear();
    this.#options.stderr.write(`${line}\n`);
    this.statusLine.redraw();
  }

  #paint(colour: keyof typeof COLOURS, text: string, stream: OutputStream): string {
    const { env } = this.#options;
    const plain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb' || stream.isTTY !== true;
    return plain ? text : `\u001b[${COLOURS[colour]}m${text}\u001b[0m`;
  }
}

/** Resolves when more can be written, or never will be. */
function drained(stream: OutputStream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'error', 'close']) stream.removeListener(event, done);
      resolve();
    };
    for (const event of ['drain', 'error', 'close']) stream.on(event, done);
  });
}
