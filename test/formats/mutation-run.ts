/**
 * Trials on two threads.
 *
 *   HVLIFT_SEED=1234          the trials of a run that began with this seed
 *   HVLIFT_SEED=1234:567      the one trial that a failure named
 *   HVLIFT_MUTATIONS=1000000  how many
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Tally, Trials } from './mutations.ts';

const THREADS = 2;

export async function checkMutations(
  t: TestContext,
  { count: usual, seed: fixed }: { readonly count: number; readonly seed: number },
): Promise<Tally> {
  const [given, only] = (process.env['HVLIFT_SEED'] ?? '').split(':');
  const seed = given ? Number(given) : fixed;
  const count = Number(process.env['HVLIFT_MUTATIONS'] ?? usual);
  const shares = only === undefined ? sharesOf(count) : [{ from: Number(only), to: Number(only) + 1 }];
  const tallies = await Promise.all(shares.map((share) => inWorker({ seed, ...share })));
  const outcomes: Record<string, number> = {};
  for (const tally of tallies) {
    for (const [key, number] of Object.entries(tally.outcomes)) outcomes[key] = (outcomes[key] ?? 0) + number;
  }
  const all = { outcomes, failures: tallies.flatMap(({ failures }) => failures) };
  report(t, all, seed);
  return all;
}

function sharesOf(count: number): { from: number; to: number }[] {
  const each = Math.ceil(count / THREADS);
  return Array.from({ length: THREADS }, (_, n) => ({ from: n * each, to: Math.min(count, (n + 1) * each) }));
}

function inWorker(workerData: Trials): Promise<Tally> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./mutation-worker.ts', import.meta.url), { workerData });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a thread ended with ${code}`)));
  });
}

function report(t: TestContext, { outcomes, failures }: Tally, seed: number): void {
  const trials = Object.values(outcomes).reduce((sum, number) => sum + number, 0);
  const opened = Object.entries(outcomes).filter(([key]) => key.endsWith(': as said'));
  const read = opened.reduce((sum, [, number]) => sum + number, 0);
  const codes = new Set(Object.keys(outcomes).map((key) => key.split(': ')[1]));
  t.diagnostic(
    `seed ${seed}: ${trials} changed files, ${read} read as said, ${trials - read} refused with ${codes.size - 1} codes`,
  );
  assert.equal(failures.join('\n'), '');
}
