/** The thread's side of a pool. */
import { parentPort } from 'node:worker_threads';
import { END_MESSAGE, answerTo, type JobHandlers, type JobMessage, type JobTypes } from './job.ts';

/** Answers every message, in order, until told to end. A worker script is this call and nothing else. */
export function serveJobs<T extends JobTypes>(handlers: JobHandlers<T>): void {
  const port = parentPort!;
  port.on('message', (message: JobMessage | typeof END_MESSAGE) => {
    if (message !== END_MESSAGE) {
      port.postMessage(answerTo(handlers, message), []);
      return;
    }
    handlers.close?.();
    port.close();
  });
}
