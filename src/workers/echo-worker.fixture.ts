/** Jobs of the pool's tests, and the script of the threads that do them. */
import { writeFileSync } from 'node:fs';
import { isMainThread, threadId, workerData } from 'node:worker_threads';
import { faults } from '../base/index.ts';
import { serveJobs, type JobHandlers } from './index.ts';

export const echoFaults = faults('ECHO', {
  refused: { kind: 'refused', text: 'the echo of {word} was refused', remedy: 'none' },
});

export type EchoJobs = {
  echo: { job: { readonly word: string }; reply: { readonly word: string; readonly thread: number } };
  /** Waits until the first number of the buffer is not 0 any more. */
  wait: { job: { readonly gate: SharedArrayBuffer }; reply: undefined };
  /** Puts one more into the first number of the buffer. */
  count: { job: { readonly counter: SharedArrayBuffer }; reply: undefined };
  refuse: { job: { readonly word: string }; reply: undefined };
  fail: { job: object; reply: undefined };
  die: { job: object; reply: undefined };
};

/** `closePath`: a file that is written when the handlers are closed. */
export function echoHandlers(closePath?: string): JobHandlers<EchoJobs> {
  return {
    jobs: {
      echo: ({ word }) => ({ word, thread: threadId }),
      wait: ({ gate }) => void Atomics.wait(new Int32Array(gate), 0, 0),
      count: ({ counter }) => void Atomics.add(new Int32Array(counter), 0, 1),
      refuse: (job) => {
        throw echoFaults.refused({ ...job });
      },
      fail: () => {
        throw new TypeError('nothing of the kind');
      },
      die: () => process.exit(3),
    },
    close: () => closePath !== undefined && writeFileSync(closePath, 'closed'),
  };
}

if (!isMainThread) serveJobs(echoHandlers(workerData as string | undefined));
