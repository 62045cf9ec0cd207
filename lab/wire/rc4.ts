/** RC4, whose key stream NTLM sealing runs on across all messages of one direction. OpenSSL 3 offers it no longer. */
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

  /** Encrypts or decrypts the next bytes of the stream. */
  transform(bytes: Uint8Array): Uint8Array {
    const state = this.#state;
    const out = new Uint8Array(bytes.length);
    for (let at = 0; at < bytes.length; at += 1) {
      this.#i = (this.#i + 1) & 0xff;
      const a = state[this.#i]!;
      this.#j = (this.#j + a) & 0xff;
      const b = state[this.#j]!;
      state[this.#i] = b;
      state[this.#j] = a;
      out[at] = bytes[at]! ^ state[(a + b) & 0xff]!;
    }
    return out;
  }
}
