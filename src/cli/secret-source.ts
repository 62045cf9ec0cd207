/**
 * Where secrets come from: a file, an environment variable, or the terminal. Never the command line, which every user of
 * the machine can read in the list of processes, and never the configuration file, which is copied and shown around.
 */
import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { failureReason, isFault } from '../base/index.ts';
import type { CliIo } from './io.ts';
import { secretFaults } from './faults.ts';
import type { Output } from './output.ts';
import { canPrompt, promptHidden } from './prompt.ts';
import { Secret, type SecretLog } from './secret.ts';

const FILE_BYTES_MAX = 4096;

export interface SecretSource {
  /** What it is, for messages: "the password of host hv1". */
  readonly what: string;
  readonly file?: string | undefined;
  readonly variable?: string | undefined;
  /** What to do where there is neither of them and no terminal. */
  readonly instead: string;
}

export class SecretReader {
  readonly #io: CliIo;
  readonly #output: Output;
  readonly #log: SecretLog;

  constructor(io: CliIo, output: Output, log: SecretLog) {
    this.#io = io;
    this.#output = output;
    this.#log = log;
  }

  /** The secret, from the first of file, variable and terminal that the source names. */
  async read(source: SecretSource): Promise<Secret> {
    return this.#keep((await this.#stored(source)) ?? (await this.#typed(source, [source.what]))[0]!);
  }

  /** For a new secret: on a terminal it is asked for twice. */
  async choose(source: SecretSource): Promise<Secret> {
    const { what } = source;
    const stored = await this.#stored(source);
    if (stored !== undefined) return this.#keep(stored);
    const [first, second] = await this.#typed(source, [what, `${what}, again`]);
    if (first !== second) throw secretFaults.mismatch({ what });
    return this.#keep(first!);
  }

  async #stored({ what, file, variable }: SecretSource): Promise<string | undefined> {
    if (file !== undefined) return this.#fromFile(what, file);
    return variable === undefined ? undefined : this.#fromVariable(what, variable);
  }

  #keep(text: string): Secret {
    return this.#log.add(new Secret(text));
  }

  async #fromFile(what: string, path: string): Promise<string> {
    try {
      await using file = await open(path);
      this.#warnWhenShared(what, path, await file.stat());
      return onlyLine(what, path, await readUpTo(file, FILE_BYTES_MAX + 1));
    } catch (error) {
      if (isFault(error)) throw error;
      throw secretFaults.fileUnreadable({ what, path, reason: failureReason(error) }, { cause: error });
    }
  }

  #fromVariable(what: string, name: string): string {
    const value = this.#io.env[name];
    if (!value) throw secretFaults.variableMissing({ what, name });
    return value;
  }

  /** The answers to one question for each of `whats`; none is empty. */
  async #typed({ what, instead }: SecretSource, whats: readonly string[]): Promise<string[]> {
    const { stdin, interrupts } = this.#io;
    if (!canPrompt(stdin)) throw secretFaults.noTerminal({ what, instead });
    const questions = whats.map((text) => text[0]!.toUpperCase() + text.slice(1));
    const answers = await promptHidden(questions, {
      stdin,
      ask: (text) => this.#output.ask(text),
      onInterrupt: () => interrupts.press(),
      signal: interrupts.signal,
    });
    if (answers.includes('')) throw secretFaults.empty({ what });
    return answers;
  }

  /** Windows keeps rights elsewhere than in the mode; a device or a pipe holds nothing that could be read later. */
  #warnWhenShared(what: string, path: string, found: Stats): void {
    const { mode } = found;
    if (this.#io.platform === 'win32' || !found.isFile() || (mode & 0o077) === 0) return;
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    this.#output.warn({
      code: 'SECRET_FILE_SHARED',
      message: `the file of ${what}, ${path}, can be used by others than its owner (mode ${octal})`,
      remedy: `chmod 600 ${path}`,
    });
  }
}

/** The first `most` bytes; the size is not asked for, because a pipe (`<(pass show hv1)`) has none. */
async function readUpTo(file: FileHandle, most: number): Promise<Buffer> {
  const bytes = Buffer.alloc(most);
  let length = 0;
  while (length < most) {
    const { bytesRead } = await file.read(bytes, length, most - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}

/** The text without the newline an editor adds and the mark Windows editors put in front. */
function onlyLine(what: string, path: string, bytes: Buffer): string {
  const problem = (problem: string): Error => secretFaults.fileUnsuitable({ what, path, problem });
  if (bytes.length > FILE_BYTES_MAX) throw problem(`has more than ${FILE_BYTES_MAX} bytes`);
  if (!isUtf8(bytes)) throw problem('is not UTF-8 text');
  const text = new TextDecoder().decode(bytes).replace(/\r?\n$/, '');
  if (text === '') throw problem('is empty');
  if (/[\r\n]/.test(text)) throw problem('has more than one line');
  return text;
}
