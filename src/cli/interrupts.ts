/**
 * Ctrl-C. The first press aborts the run's signal, and says what is being cleaned up and what a second press would leave
 * behind. The second press ends the process at once. SIGTERM and a closed terminal count as presses.
 */
import { cancelFaults } from '../base/index.ts';

/** What a command says when it is interrupted. */
export interface InterruptTexts {
  /** What is being cleaned up: "the recovery checkpoint of this run is being removed". */
  readonly cleaning: string;
  /** What stays behind when the user will not wait for that. */
  readonly leftBehind: string;
}

/** For work that only reads. */
export const NOTHING_TO_CLEAN: InterruptTexts = {
  cleaning: 'nothing needs cleaning up',
  leftBehind: 'nothing is left behind',
};

export class Interrupts {
  readonly #controller = new AbortController();
  readonly #exit: () => void;
  #texts = NOTHING_TO_CLEAN;
  #say: (text: string) => void = () => {};

  /** `exit` ends the process at once with exit code 130. */
  constructor(exit: () => void) {
    this.#exit = exit;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Where messages go; set once the run's output exists. */
  announceTo(say: (text: string) => void): void {
    this.#say = say;
  }

  describe(texts: InterruptTexts): void {
    this.#texts = texts;
  }

  press(): void {
    if (this.signal.aborted) return this.#stopAtOnce();
    this.#say(`stopping: ${this.#texts.cleaning}`);
    if (this.#texts !== NOTHING_TO_CLEAN) {
      this.#say(`press Ctrl-C again to stop at once; then ${this.#texts.leftBehind}`);
    }
    this.#controller.abort(cancelFaults.cancelled());
  }

  #stopAtOnce(): void {
    this.#say(`stopped at once: ${this.#texts.leftBehind}`);
    this.#exit();
  }
}
