/** MD4 (RFC 1320). OpenSSL 3 no longer offers it, and NTLM's password hash is made of it; nothing else may use it. */
const SHIFTS = [
  [3, 7, 11, 19],
  [3, 5, 9, 13],
  [3, 9, 11, 15],
] as const;
const CONSTANTS = [0, 0x5a827999, 0x6ed9eba1] as const;
/** RFC 1320 3.4: the order in which each round takes the words of a block. */
const ORDERS = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
  [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
] as const;

export function md4(bytes: Uint8Array): Uint8Array {
  const padded = pad(bytes);
  const words = new DataView(padded.buffer);
  let state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476];
  for (let at = 0; at < padded.length; at += 64) state = absorb(state, words, at);
  const digest = new Uint8Array(16);
  const view = new DataView(digest.buffer);
  state.forEach((word, index) => view.setUint32(4 * index, word, true));
  return digest;
}

function pad(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n, true);
  return padded;
}

function absorb(state: readonly number[], words: DataView, at: number): number[] {
  let [a, b, c, d] = state as [number, number, number, number];
  for (let step = 0; step < 48; step += 1) {
    const round = step >>> 4;
    const word = words.getUint32(at + 4 * ORDERS[round]![step & 15]!, true);
    const sum = (a + mix(round, b, c, d) + word + CONSTANTS[round]!) | 0;
    [a, d, c, b] = [d, c, b, rotate(sum, SHIFTS[round]![step & 3]!)];
  }
  return [a, b, c, d].map((word, index) => (word + state[index]!) >>> 0);
}

function mix(round: number, b: number, c: number, d: number): number {
  if (round === 0) return (b & c) | (~b & d);
  return round === 1 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
