/**
 * Draws sequences, plays them, and when one fails makes it small and says how to see it again.
 *
 *   HVLIFT_SEED=1234         the same sequences as a run that began with this seed
 *   HVLIFT_SEED=1234:5:0:1   the one sequence that a failure named, made small already
 *   HVLIFT_SEQUENCES=20000   how many
 */
import fc from 'fast-check';
import { play, sequences, type Sequence } from './sequence.ts';
import { Tally } from './tally.ts';

/** Sequences played at the same time: each waits for files a third of its time. */
const LANES = 3;

export interface Drawn {
  readonly count: number;
  /** The same sequences every time; without it others each time. */
  readonly seed?: number;
  /** The test that draws, for the command that plays a failure again. */
  readonly file: string;
}

export async function checkSequences({
  count: usual,
  seed: fixed,
  file,
}: Drawn): Promise<{ tally: Tally; seed: number }> {
  const count = Number(process.env['HVLIFT_SEQUENCES'] ?? usual);
  const [given, ...path] = (process.env['HVLIFT_SEED'] ?? '').split(':');
  const seed = given ? Number(given) : (fixed ?? Math.floor(Math.random() * 2 ** 31));
  const tally = new Tally();
  if (path.length > 0) {
    await check({ seed, path: path.join(':'), numRuns: count }, tally, file);
  } else {
    const lanes = Array.from({ length: Math.min(LANES, count) }, (_, lane) => seed + lane);
    const numRuns = Math.ceil(count / lanes.length);
    const ends = await Promise.allSettled(lanes.map((own) => check({ seed: own, numRuns }, tally, file)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }
  return { tally, seed };
}

/** Making a failed sequence small plays it some hundred times; what is reached in this time is good enough. */
const SHRINK_MS_MAX = 90_000;

async function check(parameters: fc.Parameters<[Sequence]>, tally: Tally, file: string): Promise<void> {
  const property = fc.asyncProperty(sequences, (sequence) => play(sequence, tally));
  const failed = await fc.check(property, { ...parameters, endOnFailure: true });
  if (!failed.failed) return;
  const { seed, counterexamplePath: path } = failed;
  const small = await fc.check(property, {
    ...parameters,
    seed,
    path: path!,
    interruptAfterTimeLimit: SHRINK_MS_MAX,
  });
  throw told(small.counterexample ? small : failed, file);
}

function told(details: fc.RunDetails<[Sequence]>, file: string): Error {
  const [sequence] = details.counterexample!;
  const again = `HVLIFT_SEED='${details.seed}:${details.counterexamplePath}' npm test -- ${file}`;
  const { message } = details.errorInstance as Error;
  return new Error(`${message}\n\nsequence: ${fc.stringify(sequence)}\n\nagain: ${again}\n`, {
    cause: details.errorInstance,
  });
}
