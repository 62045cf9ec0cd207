/**
 * A blocked Bloom filter: each key owns one block of 64 bytes, so a question costs one small read.
 *
 * Ids are outputs of HMAC, already random, so their own bytes choose block and bits: bytes 4–7 the block, seven 16-bit words
 * from byte 8 on one bit each. At 40 keys a block about one question in a hundred for an absent key is answered "maybe".
 */
import { viewOf } from '../base/index.ts';

export const BLOCK_BYTES = 64;
const KEYS_PER_BLOCK = 40;
/** 64 MiB: what a reader keeps of it in memory. Beyond 42 million keys more questions are answered "maybe": one in 40 at 67 million. */
const BLOCKS_MAX = 2 ** 20;
const BITS_PER_KEY = 7;
const BLOCK_BITS_MASK = BLOCK_BYTES * 8 - 1;

export function bloomBlocksFor(keys: number): number {
  return Math.min(BLOCKS_MAX, Math.max(1, Math.ceil(keys / KEYS_PER_BLOCK)));
}

export function bloomBlockOf(id: Uint8Array, blocks: number): number {
  return viewOf(id).getUint32(4, true) % blocks;
}

/** `view` has the id at `at`. */
export function addToBloom(filter: Uint8Array, view: DataView, at: number): void {
  const block = (view.getUint32(at + 4, true) % (filter.length / BLOCK_BYTES)) * BLOCK_BYTES;
  for (let word = 0; word < BITS_PER_KEY; word += 1) {
    const bit = view.getUint16(at + 8 + 2 * word, true) & BLOCK_BITS_MASK;
    filter[block + (bit >>> 3)]! |= 1 << (bit & 7);
  }
}

/** `block` is the one of {@link bloomBlockOf}. False: the key was never added. */
export function mayHold(block: Uint8Array, id: Uint8Array): boolean {
  const view = viewOf(id);
  for (let word = 0; word < BITS_PER_KEY; word += 1) {
    const bit = view.getUint16(8 + 2 * word, true) & BLOCK_BITS_MASK;
    if (((block[bit >>> 3]! >>> (bit & 7)) & 1) === 0) return false;
  }
  return true;
}
