/**
 * One JSON document written piece by piece, for results too long to hold: a fragmented disk has millions of changed
 * extents. Whatever happens on the way, {@link JsonDocument.end} leaves a document that parses, with an `error` at its top.
 */
import { escapeUnprintable } from './text-width.ts';

/** JSON that a terminal shows as it is: what {@link escapeUnprintable} catches is written as `\u` escapes. */
export function jsonText(value: unknown): string {
  return escapeUnprintable(JSON.stringify(value), (code) => `\\u${code.toString(16).padStart(4, '0')}`);
}

/** Written at once; a write per extent would cost more than the query that found it. */
const WRITE_LENGTH = 64 * 1024;

type Scope = { readonly close: ']' | '}'; empty: boolean };

export class JsonDocument {
  readonly #write: (text: string) => Promise<void>;
  readonly #scopes: Scope[] = [];
  #pending = '';

  constructor(write: (text: string) => Promise<void>) {
    this.#write = write;
  }

  /** Opens an object: the document itself, or the next item of the array that is open. */
  async object(fields: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#put(`${this.#separator()}{`);
    this.#scopes.push({ close: '}', empty: true });
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined) await this.field(name, value);
    }
  }

  async field(name: string, value: unknown): Promise<void> {
    await this.#put(`${this.#separator()}${jsonText(name)}:${jsonText(value)}`);
  }

  async array(name: string): Promise<void> {
    await this.#put(`${this.#separator()}${jsonText(name)}:[`);
    this.#scopes.push({ close: ']', empty: true });
  }

  async item(value: unknown): Promise<void> {
    await this.#put(this.#separator() + jsonText(value));
  }

  /** An item on a line of its own, for arrays that are read by tools of lines. */
  async line(value: unknown): Promise<void> {
    await this.#put(`${this.#separator()}\n${jsonText(value)}`);
  }

  /** Closes what was opened last. */
  async close(): Promise<void> {
    const scope = this.#scopes.pop()!;
    await this.#put(scope.close);
    if (this.#scopes.length === 0) await this.#flush('\n');
  }

  /** Closes everything, with `fields` as the last of the document. */
  async end(fields: object = {}): Promise<void> {
    while (this.#scopes.length > 1) await this.close();
    for (const [name, value] of Object.entries(fields)) await this.field(name, value);
    await this.close();
  }

  async #put(text: string): Promise<void> {
    this.#pending += text;
    if (this.#pending.length >= WRITE_LENGTH) await this.#flush('');
  }

  async #flush(last: string): Promise<void> {
    const text = this.#pending + last;
    this.#pending = '';
    await this.#write(text);
  }

  #separator(): string {
    const scope = this.#scopes.at(-1);
    if (!scope || scope.empty) {
      if (scope) scope.empty = false;
      return '';
    }
    return ',';
  }
}
