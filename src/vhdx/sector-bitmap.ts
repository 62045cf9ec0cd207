/** Runs of equal bits in a sector bitmap: one bit a logical sector, least significant bit first (MS-VHDX 2.4.2). */

/** The bit at `index`: 1 when the sector is in this file, 0 when it is the parent's. */
export function bitAt(bytes: Uint8Array, index: number): number {
  return (bytes[index >>> 3]! >>> (index & 7)) & 1;
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

/** Sets the bits `[from, to)`. */
export function setBits(bytes: Uint8Array, from: number, to: number): void {
  const firstWhole = Math.min(Math.ceil(from / 8) * 8, to);
  const endWhole = Math.max(firstWhole, Math.floor(to / 8) * 8);
  for (let i = from; i < firstWhole; i += 1) bytes[i >>> 3]! |= 1 << (i & 7);
  bytes.fill(0xff, firstWhole / 8, endWhole / 8);
  for (let i = endWhole; i < to; i += 1) bytes[i >>> 3]! |= 1 << (i & 7);
}
