/** The clock of our own measured pieces of work, which start when the bench says so. */
import { readSync } from 'node:fs';
import { READY } from './measured-child.ts';

export interface TaskResult {
  readonly seconds: number;
  readonly stats?: object;
}

/** What `work` takes, from the moment at which {@link READY} was answered, or nobody is there to answer. */
export async function timed(work: () => Promise<object | void>): Promise<TaskResult> {
  console.log(READY);
  readSync(0, Buffer.alloc(1)); // nothing to read is an answer
  const started = performance.now();
  const stats = await work();
  return { seconds: (performance.now() - started) / 1000, ...(stats ? { stats } : {}) };
}
