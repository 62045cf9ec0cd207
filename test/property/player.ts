/** A thread that plays lanes of sequences and says how it went. */
import { parentPort, workerData } from 'node:worker_threads';
import fc from 'fast-check';
import { answerAtOnce } from './immediate-files.ts';
import { play, sequences, type Sequence } from './sequence.ts';
import { Tally } from './tally.ts';

/** What a thread is given: sequences drawn from one seed, one after the other. */
export interface Lane {
  readonly seed: number;
  /** Which of them alone; as a failure named it. */
  readonly path?: string;
  readonly count: number;
}

export type Played =
  | { readonly counts: ReadonlyMap<string, number> }
  /** `seed`: what HVLIFT_SEED plays it again with. */
  | { readonly failure: string; readonly seed: string };

/** Making a failed sequence small plays it some hundred times; what is reached in this time is good enough. */
const SHRINK_MS_MAX = 90_000;

answerAtOnce();
const tally = new Tally();
parentPort!.postMessage(await playLanes(workerData as readonly Lane[]), []);

/** One after the other: files do not let anybody wait, so a second sequence would only keep the first one from its sockets. */
async function playLanes(lanes: readonly Lane[]): Promise<Played> {
  for (const lane of lanes) {
    const failed = await playLane(lane);
    if (failed) return failed;
  }
  return { counts: tally.counts };
}

async function playLane({ seed, path, count }: Lane): Promise<Played | undefined> {
  const property = fc.asyncProperty(sequences, (sequence) => play(sequence, tally));
  const first = { seed, numRuns: count, ...(path === undefined ? {} : { path }) };
  const failed = await fc.check(property, { ...first, endOnFailure: path === undefined });
  if (!failed.failed) return undefined;
  const small = await fc.check(property, {
    seed,
    path: failed.counterexamplePath!,
    numRuns: count,
    interruptAfterTimeLimit: SHRINK_MS_MAX,
  });
  return told(small.counterexample ? small : failed);
}

function told(details: fc.RunDetails<[Sequence]>): Played {
  const [sequence] = details.counterexample!;
  const { stack } = details.errorInstance as Error;
  return {
    failure: `${stack}\n\nsequence: ${fc.stringify(sequence)}`,
    seed: `${details.seed}:${details.counterexamplePath}`,
  };
}
