/** A reader in Python that lives for a whole test file: a question a line, an answer a line. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Extent } from '../../src/extents/index.ts';
import { DEBIAN_PYTHON } from '../requires.ts';
import type { Fingerprint } from './fingerprint.ts';

export interface Question {
  readonly format: 'vhdx' | 'vhd' | 'vmdk';
  /** Leaf first. */
  readonly files: readonly string[];
  readonly windows?: readonly Extent[] | undefined;
  readonly ranges?: readonly Extent[];
}

export type Answer = (Fingerprint & { readonly ranges?: readonly string[] }) | { readonly refused: string };

/** Questions are asked one after the other. */
export class PythonReader implements AsyncDisposable {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  constructor(script: 'second-decoder.py' | 'library-reader.py') {
    this.#process = spawn(DEBIAN_PYTHON, [fileURLToPath(new URL(script, import.meta.url))]);
    this.#process.stderr.on('data', (bytes: Buffer) => (this.#errors += bytes.toString()));
    this.#lines = createInterface(this.#process.stdout)[Symbol.asyncIterator]();
  }

  async ask({ format, files, windows, ranges = [] }: Question): Promise<Answer> {
    const pairs = (extents: readonly Extent[]): number[][] =>
      extents.map(({ offset, length }) => [offset, length]);
    const question = { format, files, windows: windows ? pairs(windows) : null, ranges: pairs(ranges) };
    this.#process.stdin.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the reader ended: ${this.#errors}`);
    return JSON.parse(value as string) as Answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('close', resolve));
    this.#process.stdin.end();
    await ended;
  }
}
