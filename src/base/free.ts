/**
 * Giving memory back at once. Native calls return a new megabyte for each object; a worker that leaves them to the garbage
 * collector spends more time collecting, and on the first touch of fresh pages, than on decompressing.
 */

/** Nobody may use the bytes, or any view of the same buffer, afterwards. Slabs that Node shares between buffers stay. */
export function free({ buffer, byteLength }: Uint8Array): void {
  const own = byteLength === buffer.byteLength || buffer.byteLength > Buffer.poolSize;
  if (own && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
