/**
 * Giving memory back at once. Native calls return a new megabyte for each object; a worker that leaves them to the garbage
 * collector spends more time collecting, and on the first touch of fresh pages, than on decompressing.
 */
import { KiB } from '../base/index.ts';

/** Well above the slab that Node cuts small buffers from, which others share. */
const FREED_BYTES_MIN = 64 * KiB;

/** Nobody may use the bytes, or any view of the same buffer, afterwards. */
export function free({ buffer }: Uint8Array): void {
  if (buffer.byteLength >= FREED_BYTES_MIN && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
