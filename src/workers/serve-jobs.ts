/** The thread's side of a pool. */
import { parentPort } from 'node:worker_threads';
import {
  END_MESSAGE,
  answerTo,
  type Answer,
  type JobHandlers,
  type JobMessage,
  type JobTypes,
} from './job.ts';

/** Answers every message, in order, until told to end. A worker script is this call and nothing else. */
export function serveJobs<T extends JobTypes>(handlers: JobHandlers<T>): void {
  const port = parentPort!;
  port.on('message', (message: JobMessage | typeof END_MESSAGE) => {
    if (message !== END_MESSAGE) {
      const answer = answerTo(handlers, message);
      port.postMessage(answer, movedWith(answer, handlers));
      return;
    }
    handlers.close?.();
    port.close();
  });
}

/** What is small may lie in a slab that Node shares between buffers: it is copied. */
function movedWith<T extends JobTypes>(answer: Answer, handlers: JobHandlers<T>): ArrayBuffer[] {
  if (!handlers.moved || !('reply' in answer)) return [];
  return handlers
    .moved(answer.reply as T[keyof T]['reply'])
    .map(({ buffer }) => buffer)
    .filter((buffer): buffer is ArrayBuffer => buffer instanceof ArrayBuffer)
    .filter(({ byteLength }) => byteLength > Buffer.poolSize);
}
