/**
 * Asking for a secret on a terminal: nothing is echoed, the terminal is always put back as it was.
 *
 * Enter ends the line, Backspace takes one character back, Ctrl-U all of them, Ctrl-C and Ctrl-D give up.
 */
import { StringDecoder } from 'node:string_decoder';
import { cancelFaults } from '../base/index.ts';
import type { InputStream } from './io.ts';

/** More is a mistake (a file pasted in), and bounds the memory. */
const ANSWER_LENGTH_MAX = 4096;

export interface PromptPort {
  readonly stdin: InputStream;
  /** Writes the question, without a newline. */
  readonly ask: (text: string) => void;
  /** Ctrl-C was typed: in raw mode the terminal sends no signal for it. */
  readonly onInterrupt: () => void;
  readonly signal: AbortSignal;
}

export function canPrompt(stdin: InputStream): boolean {
  return stdin.isTTY === true && stdin.setRawMode !== undefined;
}

/** One line per question, typed without echo; an empty answer ends the asking. Throws `RUN_CANCELLED` on Ctrl-C, Ctrl-D and abort. */
export async function promptHidden(questions: readonly string[], port: PromptPort): Promise<string[]> {
  const { stdin } = port;
  // Before the first question and until after the last answer: who types ahead must not see it echoed either.
  stdin.setRawMode!(true);
  try {
    const answers: string[] = [];
    for (const question of questions) {
      port.ask(`${question}: `);
      answers.push(await hiddenLine(port));
      if (answers.at(-1) === '') break;
    }
    return answers;
  } finally {
    stdin.setRawMode!(false);
  }
}

/** What is said of a Ctrl-C has a line of its own. */
async function hiddenLine(port: PromptPort): Promise<string> {
  let isOpen = true;
  const endLine = (): void => {
    if (isOpen) port.ask('\n');
    isOpen = false;
  };
  const onInterrupt = (): void => {
    endLine();
    port.onInterrupt();
  };
  return typedLine({ ...port, onInterrupt }).finally(endLine);
}

/** One line that shows while it is typed. Throws as `promptHidden`; Ctrl-C reaches the program as a signal here. */
export async function promptShown(question: string, port: PromptPort): Promise<string> {
  port.ask(question);
  return typedLine(port);
}

function typedLine({ stdin, onInterrupt, signal }: PromptPort): Promise<string> {
  const line = new TypedLine();
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void): void => {
      stdin.removeListener('data', onData);
      stdin.removeListener('end', onEnd);
      signal.removeEventListener('abort', onEnd);
      stdin.pause();
      outcome();
    };
    const onEnd = (): void => settle(() => reject(cancelFaults.cancelled()));
    const onData = (bytes: Buffer): void => {
      const end = line.type(bytes);
      if (end === 'enter') settle(() => resolve(line.text));
      if (end === 'interrupt') onInterrupt();
      if (end === 'interrupt' || end === 'end of input') onEnd();
    };
    if (signal.aborted) return reject(cancelFaults.cancelled());
    stdin.on('data', onData);
    stdin.on('end', onEnd);
    signal.addEventListener('abort', onEnd);
    stdin.resume();
  });
}

/** What has been typed so far. Exported for its test. */
export class TypedLine {
  readonly #decoder = new StringDecoder('utf8');
  #characters: string[] = [];
  /** The escape sequence that has begun and not ended. */
  #escape = '';

  get text(): string {
    return this.#characters.join('');
  }

  /** Takes a chunk as the terminal sent it; says when and how the line ended. What follows the end is dropped. */
  type(bytes: Buffer): 'enter' | 'interrupt' | 'end of input' | undefined {
    for (const char of this.#decoder.write(bytes)) {
      if (this.#skipEscape(char)) continue;
      if (char === '\r' || char === '\n') return 'enter';
      if (char === '\u0003') return 'interrupt';
      if (char === '\u0004') return 'end of input';
      this.#edit(char);
    }
    return undefined;
  }

  #edit(char: string): void {
    if (char === '\u007f' || char === '\b') this.#characters.pop();
    else if (char === '\u0015') this.#characters = [];
    else if (char >= ' ' && this.#characters.length < ANSWER_LENGTH_MAX) this.#characters.push(char);
  }

  /** Arrow and function keys arrive as ESC [ … letter, ESC O letter or ESC letter; none of it belongs to a password. */
  #skipEscape(char: string): boolean {
    if (char === '\u001b') {
      this.#escape = char;
      return true;
    }
    if (this.#escape === '' || char < ' ') {
      this.#escape = '';
      return false;
    }
    this.#escape += char;
    if (/^.(\[.*[A-Za-z~]|O.|[^[O])$/s.test(this.#escape)) this.#escape = '';
    return true;
  }
}
