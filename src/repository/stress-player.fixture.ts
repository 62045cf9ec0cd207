/** A thread that plays one stress for each message: see crash-player.fixture.ts for why a thread. */
import { parentPort } from 'node:worker_threads';
import { Stress, type StressTally } from './stress.fixture.ts';

export interface StressTask {
  readonly seed: number;
  /** For each of {@link FAULT_RATES}. */
  readonly steps: number;
}

export interface StressEnd {
  readonly tally: StressTally;
  readonly failure?: string;
}

/** Of requests; each rate on what the one before left. */
const FAULT_RATES = [0, 0.002, 0.006];

parentPort!.on('message', (task: StressTask) => {
  void played(task).then((end) => parentPort!.postMessage(end, []));
});

async function played({ seed, steps }: StressTask): Promise<StressEnd> {
  const stress = new Stress(seed);
  try {
    for (const faultRate of FAULT_RATES) await stress.play(steps, faultRate);
    return { tally: stress.tally };
  } catch (error) {
    return { tally: stress.tally, failure: `seed ${seed}: ${(error as Error).stack}` };
  }
}
