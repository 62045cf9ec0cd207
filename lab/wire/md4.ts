/** MD4 (RFC 1320), for the NTLM password hash only: OpenSSL 3 offers it no longer, and nothing else may use it. */
interface Round {
  readonly mix: (x: number, y: number, z: number) => number;
  readonly constant: number;
  readonly order: readonly number[];
  readonly shifts: readonly number[];
}

const ROUNDS: readonly Round[] = [
  {
    mix: (x, y, z) => (x & y) | (~x & z),
    constant: 0,
    order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    shifts: [3, 7, 11, 19],
  },
  {
    mix: (x, y, z) => (x & y) | (x & z) | (y & z),
    constant: 0x5a827999,
    order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
    shifts: [3, 5, 9, 13],
  },
  {
    mix: (x, y, z) => x ^ y ^ z,
    constant: 0x6ed9eba1,
    order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
    shifts: [3, 9, 11, 15],
  },
];

export function md4(message: Uint8Array): Uint8Array {
  const view = new DataView(padded(message).buffer);
  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < view.byteLength; at += 64) state = block(state, view, at);
  const digest = new DataView(new ArrayBuffer(16));
  state.forEach((word, index) => digest.setUint32(4 * index, word, true));
  return new Uint8Array(digest.buffer);
}

function block(state: readonly number[], view: DataView, at: number): number[] {
  let [a, b, c, d] = state as [number, number, number, number];
  for (const { mix, constant, order, shifts } of ROUNDS) {
    for (let step = 0; step < 16; step += 1) {
      const sum = (a + mix(b, c, d) + view.getUint32(at + 4 * order[step]!, true) + constant) | 0;
      [a, b, c, d] = [d, rotate(sum, shifts[step % 4]!), b, c];
    }
  }
  return [a, b, c, d].map((word, index) => (word + state[index]!) | 0);
}

function padded(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array((((message.length + 8) >> 6) + 1) * 64);
  bytes.set(message);
  bytes[message.length] = 0x80;
  new DataView(bytes.buffer).setBigUint64(bytes.length - 8, BigInt(message.length) * 8n, true);
  return bytes;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
