/**
 * Where the data of one READ goes. It is written while the answer still arrives, before anything of it is verified: whoever
 * asked looks at it only when the read has succeeded, and abandons the place when it has not, because from then on the memory
 * may serve something else.
 */
export class Landing {
  /** Bytes that have room. */
  readonly size: number;
  #bytes: Uint8Array | undefined;

  constructor(bytes: Uint8Array) {
    this.size = bytes.length;
    this.#bytes = bytes;
  }

  set(data: Uint8Array, at: number): void {
    this.#bytes?.set(data, at);
  }

  /** Nothing is written any more. */
  abandon(): void {
    this.#bytes = undefined;
  }
}
