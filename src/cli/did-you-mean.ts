/** The known word a mistyped one was meant to be. */

/** Undefined when nothing is near: more than a third of the letters wrong is another word. */
export function didYouMean(typed: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, '');
  const ranked = known
    .map((word) => ({ word, distance: editDistance(plain(typed), plain(word)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.max(1, Math.floor(best.word.length / 3)) ? best.word : undefined;
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(last[j]! + 1, row[j - 1]! + 1, replaced, swapped ? beforeLast[j - 2]! + 1 : Infinity),
      );
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length]!;
}
