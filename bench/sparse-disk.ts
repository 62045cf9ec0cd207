/** A disk of any size that is random bytes wherever it is read, others for each seed. */
import { createCipheriv, createHash } from 'node:crypto';
import type { RangeReader } from '../src/disk/index.ts';

export class SparseDisk implements RangeReader {
  readonly size: number;
  readonly #key: Buffer;

  constructor(size: number, seed: number) {
    this.size = size;
    this.#key = createHash('sha256').update(String(seed)).digest();
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    const start = Buffer.alloc(16);
    start.writeDoubleBE(offset);
    into.set(createCipheriv('aes-256-ctr', this.#key, start).update(new Uint8Array(into.length)));
  }

  async close(): Promise<void> {}
}
