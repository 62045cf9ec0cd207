/** A place for something that is made when it is needed, made again when it broke, and never twice at the same time. */
import { hasCode } from '../base/index.ts';

export interface Breakable {
  readonly usable: boolean;
  close(): void | Promise<void>;
}

export class Slot<T extends Breakable> {
  readonly #make: () => Promise<T>;
  #made: T | undefined;
  #making: Promise<T> | undefined;

  constructor(make: () => Promise<T>) {
    this.#make = make;
  }

  get(): Promise<T> {
    if (this.#made?.usable) return Promise.resolve(this.#made);
    this.#making ??= this.#remake().finally(() => (this.#making = undefined));
    return this.#making;
  }

  /** One that broke unnoticed, while idle, is worth one more try: when `work` fails with one of the codes `breaks`. */
  async use<R>(work: (made: T) => Promise<R>, breaks: readonly string[]): Promise<R> {
    const made = await this.get();
    try {
      return await work(made);
    } catch (error) {
      if (made.usable || !hasCode(error, ...breaks)) throw error;
      return await work(await this.get());
    }
  }

  async close(): Promise<void> {
    this.#making?.then(
      (late) => late.close(),
      () => undefined,
    );
    await this.#made?.close();
  }

  async #remake(): Promise<T> {
    this.#made = await this.#make();
    return this.#made;
  }
}
