/** Runs of the file, collected in order. */
import type { FileSpan } from '../disk/index.ts';

/** Adds `length` bytes at `fileOffset`, to the last span when they follow it. */
export function addSpan(spans: FileSpan[], fileOffset: number, length: number): void {
  const last = spans.at(-1);
  if (last && last.fileOffset + last.length === fileOffset) {
    spans[spans.length - 1] = { fileOffset: last.fileOffset, length: last.length + length };
  } else {
    spans.push({ fileOffset, length });
  }
}
