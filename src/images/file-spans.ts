import type { FileSpan } from '../disk/index.ts';

/** Adds a run to a list of spans; one that goes on where the last ended makes it longer. */
export function appendSpan(spans: FileSpan[], fileOffset: number, length: number): void {
  const last = spans.at(-1);
  if (last && last.fileOffset + last.length === fileOffset) {
    spans[spans.length - 1] = { fileOffset: last.fileOffset, length: last.length + length };
  } else {
    spans.push({ fileOffset, length });
  }
}
