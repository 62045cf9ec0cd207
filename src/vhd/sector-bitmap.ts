/** Runs of equal bits in a sector bitmap: one bit a sector, most significant bit first, the opposite of VHDX. */

/** The bit at `index`: 1 when the sector is in this file; 0 the parent's, or zeros without a parent. */
export function bitAt(bytes: Uint8Array, index: number): number {
  return (bytes[index >>> 3]! >>> (7 - (index & 7))) & 1;
}

/** The end of the run of equal bits that begins at `from`, at most `to`. */
export function runEnd(bytes: Uint8Array, from: number, to: number): number {
  const bit = bitAt(bytes, from);
  const uniform = bit === 1 ? 0xff : 0;
  let at = from + 1;
  while (at < to) {
    if ((at & 7) === 0 && bytes[at >>> 3] === uniform) at += 8;
    else if (bitAt(bytes, at) === bit) at += 1;
    else return at;
  }
  return to;
}
