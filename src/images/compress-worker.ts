/** The thread that runs compression jobs: see `compress-job.ts`. It answers every message, in order. */
import { parentPort } from 'node:worker_threads';
import { runCompressJob, type CompressJob } from './compress-job.ts';

parentPort!.on('message', (job: CompressJob | 'close') => {
  if (job === 'close') {
    parentPort!.close();
    return;
  }
  try {
    parentPort!.postMessage({ reply: runCompressJob(job) }, []);
  } catch (error) {
    parentPort!.postMessage({ error: (error as Error).stack ?? String(error) }, []);
  }
});
