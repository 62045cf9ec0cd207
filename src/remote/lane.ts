/** A file opened on one of a client's connections. The handle dies with its session; the lane then has it opened again. */
import { unlessAborted } from '../base/index.ts';

export interface RemoteHandle {
  readonly session: { readonly usable: boolean };
}

export interface Opener<H extends RemoteHandle> {
  /** Opens the file on a session that works, provided it is still the same file. */
  open(): Promise<H>;
  close(handle: H): void | Promise<void>;
}

export class FileLane<H extends RemoteHandle> {
  /** Pieces being read through this lane. */
  running = 0;
  readonly #opener: Opener<H>;
  #handle: H | undefined;
  #opening: Promise<H> | undefined;

  /** `handle`: one that `opener` need not make any more. */
  constructor(opener: Opener<H>, handle: H | undefined) {
    this.#opener = opener;
    this.#handle = handle;
  }

  /** The handle when there is one that works; no promise, because each piece of each read asks. */
  get handle(): H | undefined {
    return this.#handle?.session.usable ? this.#handle : undefined;
  }

  /** Throws what `open` of the opener throws. */
  async reopen(signal: AbortSignal): Promise<H> {
    signal.throwIfAborted();
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return unlessAborted(this.#opening, signal);
  }

  async close(): Promise<void> {
    // Should a handle still be on its way, it is closed whenever it comes.
    this.#opening?.then(
      (late) => this.#opener.close(late),
      () => undefined,
    );
    if (this.#handle) await this.#opener.close(this.#handle);
  }

  async #open(): Promise<H> {
    this.#handle = await this.#opener.open();
    return this.#handle;
  }
}
