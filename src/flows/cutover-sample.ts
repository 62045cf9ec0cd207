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
  let seen = 0;
  let weight = 1;
  let next = 0;
  const take = (piece: Extent): void => {
    if (drawn.length < count) drawn.push(piece);
    else drawn[Math.floor(random() * count)] = piece;
    if (drawn.length < count) return void (next += 1);
    weight *= positive(random) ** (1 / count);
    next += 1 + Math.floor(Math.log(positive(random)) / Math.log1p(-weight));
  };
  for await (const { offset, length } of extents) {
    const first = Math.floor(offset / pieceBytes);
    const pieces = Math.ceil((offset + length) / pieceBytes) - first;
    while (next < seen + pieces) {
      const from = Math.max(offset, (first + next - seen) * pieceBytes);
      const to = Math.min(offset + length, (first + next - seen + 1) * pieceBytes);
      take({ offset: from, length: to - from });
    }
    seen += pieces;
  }
  return drawn.toSorted((a, b) => a.offset - b.offset);
}

/** Its logarithm is taken. */
function positive(random: () => number): number {
  return 1 - random();
}
