/**
 * RC4. OpenSSL 3 no longer offers it; NTLM session security seals with it. The stream runs on from call to call, so one
 * lost or repeated message makes every later one unreadable: such a connection is dropped, never mended.
 */
export class Rc4 {
  readonly #state = Uint8Array.from({ length: 256 }, (_, index) => index);
  #i = 0;
  #j = 0;

  constructor(key: Uint8Array) {
    const state = this.#state;
    for (let i = 0, j = 0; i < 256; i += 1) {
      j = (j + state[i]! + key[i % key.length]!) & 0xff;
      [state[i], state[j]] = [state[j]!, state[i]!];
    }
  }

  /** Encrypts or decrypts (the same operation) into a new array. About 250 MB/s, far above what messages need. */
  apply(bytes: Uint8Array): Uint8Array {
    const state = this.#state;
    const out = new Uint8Array(bytes.length);
    let i = this.#i;
    let j = this.#j;
    for (let at = 0; at < bytes.length; at += 1) {
      i = (i + 1) & 0xff;
      const low = state[i]!;
      j = (j + low) & 0xff;
      const high = state[j]!;
      state[i] = high;
      state[j] = low;
      out[at] = bytes[at]! ^ state[(low + high) & 0xff]!;
    }
    this.#i = i;
    this.#j = j;
    return out;
  }
}
