/** Writes that follow one another in a file, gathered to one call a megabyte. */
import { MiB } from '../base/index.ts';

type Write = (position: number, bytes: Uint8Array) => Promise<void>;

export class RunBuffer {
  readonly #write: Write;
  readonly #bytes: Uint8Array = new Uint8Array(MiB);
  #start = 0;
  #length = 0;

  constructor(write: Write) {
    this.#write = write;
  }

  /** Copies `bytes`, at most 1 MiB of them. */
  async put(position: number, bytes: Uint8Array): Promise<void> {
    const follows = position === this.#start + this.#length;
    if (!follows || this.#length + bytes.length > this.#bytes.length) {
      await this.flush();
      this.#start = position;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  async flush(): Promise<void> {
    if (this.#length > 0) await this.#write(this.#start, this.#bytes.subarray(0, this.#length));
    this.#start += this.#length;
    this.#length = 0;
  }
}
