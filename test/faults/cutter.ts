/** A thread that cuts the run of one scenario at every call, and says where, or what broke. */
import { parentPort, workerData } from 'node:worker_threads';
import { answerAtOnce } from '../property/immediate-files.ts';
import { CUT_SCENARIOS, Cuts } from './cuts.ts';

export type Cut = { readonly made: readonly string[] } | { readonly failure: string };

answerAtOnce();
parentPort!.postMessage(await cut(), []);

async function cut(): Promise<Cut> {
  const scenario = CUT_SCENARIOS.find(({ name }) => name === workerData)!;
  try {
    await using cuts = new Cuts(scenario);
    return { made: await Array.fromAsync(cuts.all()) };
  } catch (error) {
    return { failure: (error as Error).stack! };
  }
}
