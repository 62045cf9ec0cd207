/**
 * The tree hash of a disk, docs/formats/tree-hash.md: a digest of all its bytes that costs only its data. Blocks of 1 MiB are
 * the leaves of a binary tree; whatever is zeros, stored or not, however much of it, has a digest known beforehand.
 */
import { createHash } from 'node:crypto';
import { MiB, assert, isZero } from '../base/index.ts';

export const TREE_BLOCK = MiB;

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const ROOT = Uint8Array.of(2);
/** 2^33 blocks hold the largest file that a number of JavaScript can measure. */
const LEVELS_MAX = 33;

/** By level: the digest of a tree of 2^level blocks of zeros. */
const ZEROS: Uint8Array[] = [sha256(LEAF, new Uint8Array(TREE_BLOCK))];
for (let level = 1; level <= LEVELS_MAX; level += 1) {
  ZEROS.push(sha256(NODE, ZEROS[level - 1]!, ZEROS[level - 1]!));
}

export class TreeHash {
  readonly #size: number;
  /** Complete trees of falling size, side by side: the digits of a binary number that counts blocks. */
  readonly #trees: { level: number; digest: Uint8Array }[] = [];
  #blocks = 0;

  /** `size`: bytes of the disk. */
  constructor(size: number) {
    this.#size = size;
  }

  /** Adds the block that begins at `offset`, behind all that were added; those between are zeros. Only the last is short. */
  add(offset: number, bytes: Uint8Array): void {
    const index = offset / TREE_BLOCK;
    assert(Number.isInteger(index) && index >= this.#blocks, 'blocks are whole and come in order');
    this.#addZeros(index);
    if (isZero(bytes)) return;
    const padding = new Uint8Array(TREE_BLOCK - bytes.length);
    this.#push(0, sha256(LEAF, bytes, padding));
  }

  /** The digest as hexadecimal digits; what was not added is zeros. */
  digest(): string {
    let leaves = 1;
    while (leaves * TREE_BLOCK < this.#size) leaves *= 2;
    this.#addZeros(leaves);
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(this.#size));
    return Buffer.from(sha256(ROOT, size, this.#trees[0]!.digest)).toString('hex');
  }

  /** By the largest trees that fit, so that the work is of the order of the levels. */
  #addZeros(end: number): void {
    while (this.#blocks < end) {
      let level = 0;
      for (let next = 2; this.#blocks % next === 0 && this.#blocks + next <= end; next *= 2) level += 1;
      this.#push(level, ZEROS[level]!);
    }
  }

  #push(level: number, digest: Uint8Array): void {
    this.#blocks += 2 ** level;
    let tree = { level, digest };
    while (this.#trees.at(-1)?.level === tree.level) {
      tree = { level: tree.level + 1, digest: sha256(NODE, this.#trees.pop()!.digest, tree.digest) };
    }
    this.#trees.push(tree);
  }
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const sha = createHash('sha256'); // not of all in one piece, which costs a copy of each block
  for (const part of parts) sha.update(part);
  return sha.digest();
}
