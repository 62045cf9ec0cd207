/**
 * A random sample of the pieces of a stream of extents, whatever its length: each piece is as likely as any other, and the
 * stream is read once. Algorithm L of Li (1994): what is not drawn is skipped without drawing for it.
 */
import type { Extent, ExtentStream } from '../extents/index.ts';

/** At most `count`, by offset. Pieces lie on their own grid. `random` is in [0, 1). */
export async function samplePieces(
  extents: ExtentStream,
  { count, pieceBytes, random = Math.random }: { count: number; pieceBytes: number; random?: () => number },
): Promise<Extent[]> {
  const drawn: Extent[] = [];
  const skip = skipping(count, random);
  let seen = 0;
  let next = 0;
  for await (const { offset, length } of extents) {
    const first = Math.floor(offset / pieceBytes);
    const pieces = Math.ceil((offset + length) / pieceBytes) - first;
    for (; next < seen + pieces; next += drawn.length < count ? 1 : skip()) {
      const at = (first + next - seen) * pieceBytes;
      const from = Math.max(offset, at);
      const piece = { offset: from, length: Math.min(offset + length, at + pieceBytes) - from };
      if (drawn.length < count) drawn.push(piece);
      else drawn[Math.floor(random() * count)] = piece;
    }
    seen += pieces;
  }
  return drawn.toSorted((a, b) => a.offset - b.offset);
}

/** How far it is to the next piece that is drawn, once there are `count`. */
function skipping(count: number, random: () => number): () => number {
  let weight = 1;
  return () => {
    weight *= positive(random) ** (1 / count);
    return 1 + Math.floor(Math.log(positive(random)) / Math.log1p(-weight));
  };
}

/** Its logarithm is taken. */
function positive(random: () => number): number {
  return 1 - random();
}
