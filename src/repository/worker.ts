/** The thread that runs jobs: see `jobs.ts`. It answers every message, in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { JobRunner, type Job } from './jobs.ts';
import type { ObjectKeys } from './keys.ts';

const runner = new JobRunner(workerData as ObjectKeys);

parentPort!.on('message', (job: Job | 'close') => {
  if (job === 'close') {
    runner.close();
    parentPort!.close();
    return;
  }
  try {
    parentPort!.postMessage({ reply: runner.run(job) }, []);
  } catch (error) {
    parentPort!.postMessage({ error: (error as Error).stack ?? String(error) }, []);
  }
});
