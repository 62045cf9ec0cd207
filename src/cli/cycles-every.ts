/**
 * One cycle after the other, until one fails by what cannot pass by itself.
 *
 *   ended well     the next begins one interval after this one began
 *   failed         tried again in 10 s, 20 s, 40 s …, at most every 15 minutes, or every interval where that is longer
 *
 * The host may be away for the night, or the VM be on its way to another node: a replica has to be found up to date in the morning.
 */
import { hasCode, isFault, realClock, type Clock } from '../base/index.ts';
import type { Task } from './engine.ts';
import type { ReplicateRun } from './replicate-port.ts';

const FIRST_RETRY_SECONDS = 10;
const RETRY_SECONDS_MAX = 15 * 60;

/** Refused, and gone by itself when the other backup of the VM has ended. */
const PASSING = ['CAPTURE_FOREIGN_CHECKPOINT'] as const;

/** `everySeconds` left out: one cycle. Each is yielded as it ends, before the wait for the next one. */
export async function* cyclesEvery(
  everySeconds: number | undefined,
  { signal, progress }: Task,
  cycle: (isFirst: boolean) => Promise<ReplicateRun>,
  clock: Clock = realClock,
): AsyncGenerator<ReplicateRun> {
  let failed = 0;
  for (let isFirst = true; ; isFirst = false) {
    const started = clock.now();
    const run = await cycle(isFirst);
    failed = run.error === undefined ? 0 : failed + 1;
    if (everySeconds === undefined || !canPass(run.error)) return yield run;
    if (run.error === undefined) yield run;
    else yield { ...run, nextInSeconds: retrySeconds(failed, everySeconds) };
    const waitMs =
      failed > 0
        ? retrySeconds(failed, everySeconds) * 1000
        : Math.max(0, everySeconds * 1000 - (clock.now() - started));
    progress.phase('waiting for the next cycle');
    await clock.sleep(waitMs, signal);
  }
}

function canPass(error: unknown): boolean {
  if (error === undefined || hasCode(error, ...PASSING)) return true;
  return isFault(error) && error.kind === 'retry';
}

function retrySeconds(failed: number, everySeconds: number): number {
  const longest = Math.max(RETRY_SECONDS_MAX, everySeconds);
  return Math.min(longest, FIRST_RETRY_SECONDS * 2 ** Math.min(failed - 1, 20));
}
