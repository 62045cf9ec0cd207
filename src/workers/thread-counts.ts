/** How many threads a kind of work has. */
import { availableParallelism } from 'node:os';

/** More than that gain nothing: then the disks are the limit. */
const THREADS_MAX = 16;

/** Work that is all processor: one thread each. */
export function computingThreads(): number {
  return Math.min(availableParallelism(), THREADS_MAX);
}

/** Work that waits for a disk a quarter of its time, as who writes past the page cache does: half as many again. */
export function writingThreads(): number {
  return Math.min(Math.ceil(availableParallelism() * 1.5), THREADS_MAX);
}
