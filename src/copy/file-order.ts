/** Batches in the order in which their bytes lie in the source's files, as far as a window of them reaches. */
import type { Batch } from './batch.ts';

/** 1 GiB of data: blocks of a file that grew as a guest wrote are out of order, but seldom far. */
const WINDOW_BATCHES = 256;
/** About 10 MiB of plans, however fragmented the source. */
const WINDOW_READS = 65_536;

export async function* inFileOrder<B extends Batch>(batches: AsyncIterable<B>): AsyncGenerator<B> {
  let window: B[] = [];
  let reads = 0;
  for await (const batch of batches) {
    window.push(batch);
    reads += batch.reads?.length ?? 0;
    if (window.length < WINDOW_BATCHES && reads < WINDOW_READS) continue;
    yield* window.sort(byFirstRead);
    window = [];
    reads = 0;
  }
  yield* window.sort(byFirstRead);
}

/** Files of a chain one after the other; what is in no file keeps its place among its like. */
function byFirstRead(a: Batch, b: Batch): number {
  const [first, second] = [a.reads?.[0], b.reads?.[0]];
  if (!first || !second) return Number(first !== undefined) - Number(second !== undefined);
  if (first.file.path !== second.file.path) return first.file.path < second.file.path ? -1 : 1;
  return first.fileOffset - second.fileOffset;
}
