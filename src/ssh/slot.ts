/** A place for something that is made when it is needed, made again when it broke, and never twice at the same time. */
export interface Breakable {
  readonly usable: boolean;
  close(): void;
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

  close(): void {
    this.#making?.then(
      (late) => late.close(),
      () => undefined,
    );
    this.#made?.close();
  }

  async #remake(): Promise<T> {
    this.#made = await this.#make();
    return this.#made;
  }
}
