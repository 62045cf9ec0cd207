/**
 * A blocked Bloom filter: each key owns one block of 64 bytes, so a question costs one small read.
 *
 * Ids are outputs of HMAC, already random, so their own bytes choose block and bits: bytes 4–7 the block, seven 16-bit words
 * from byte 8 on one bit each. At 40 keys a block about one question in a hundred for an absent key is answered "maybe".
 */
import { viewOf } from '../base/index.ts';

export const BLOCK_BYTES = 64;
const KEYS_PER_BLOCK = 40;
const BITS_PER_KEY = 7;
const BLOCK_BITS_MASK = BLOCK_BYTES * 8 - 1;

export function bloomBlocksFor(keys: number): number {
  return Math.max(1, Math.ceil(keys / KEYS_PER_BLOCK));
}

export function bloomBlockOf(id: Uint8Array, blocks: number): number {
  return viewOf(id).getUint32(4, true) % blocks;
}

export function addToBloom(filter: Uint8Array, id: Uint8Array): void {
  const at = bloomBlockOf(id, filter.length / BLOCK_BYTES) * BLOCK_BYTES;
  for (const bit of bitsOf(id)) filter[at + (bit >>> 3)]! |= 1 << (bit & 7);
}

/** `block` is the one of {@link bloomBlockOf}. False: the key was never added. */
export function mayHold(block: Uint8Array, id: Uint8Array): boolean {
  return bitsOf(id).every((bit) => (block[bit >>> 3]! >>> (bit & 7)) & 1);
}

function bitsOf(id: Uint8Array): number[] {
  const view = viewOf(id);
  return Array.from({ length: BITS_PER_KEY }, (_, i) => view.getUint16(8 + 2 * i, true) & BLOCK_BITS_MASK);
}
