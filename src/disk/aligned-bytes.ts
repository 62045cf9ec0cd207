/** Memory that a disk can take from where it lies: past the page cache, a write begins on a page of the memory as of the file. */
import { KiB } from '../base/index.ts';

/** Node has it; its types come with those of browsers. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

/** Of WebAssembly. Nothing else of Node's is sure to begin on a page. */
const UNIT = 64 * KiB;
/** A page of the system. */
export const PAGE = 4 * KiB;

const aligned = new WeakSet<ArrayBufferLike>();

/**
 * `length` bytes of zeros on a page, to be kept and used again: they cannot be freed at once, and each costs some GiB of the
 * address space. Where that is limited the bytes lie anywhere.
 */
export function alignedBytes(length: number): Buffer {
  try {
    const { buffer } = new WebAssembly.Memory({ initial: Math.ceil(length / UNIT) });
    aligned.add(buffer);
    return Buffer.from(buffer, 0, length);
  } catch {
    return Buffer.alloc(length);
  }
}

export function isAligned({ buffer, byteOffset }: Uint8Array): boolean {
  return aligned.has(buffer) && byteOffset % PAGE === 0;
}
