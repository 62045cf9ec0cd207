/** Threads that compress. They start with the first job; with none, jobs run in the calling thread. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { workerUrl } from '../base/index.ts';
import { runCompressJob, type CompressJob, type CompressReply } from './compress-job.ts';
import { imageFaults } from './faults.ts';

const WORKERS_MAX = 16;

interface Task {
  readonly resolve: (reply: CompressReply) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  /** Sent and not answered, in order. */
  readonly tasks: Task[];
}

type Answer = { readonly reply: CompressReply } | { readonly error: string };

export class CompressPool implements AsyncDisposable {
  /** How many jobs keep all threads busy: a second one waits at each, so that no thread waits for the main thread. */
  readonly depth: number;
  readonly #size: number;
  readonly #threads: Thread[] = [];

  /** `workers`: threads at most; default: one a processor; 0: none. */
  constructor(workers: number = Math.min(availableParallelism(), WORKERS_MAX)) {
    this.#size = workers;
    this.depth = 2 * workers + 1;
  }

  async run(job: CompressJob): Promise<CompressReply> {
    if (this.#size === 0) return runCompressJob(job);
    const thread = this.#leastBusy();
    return await new Promise((resolve, reject) => {
      thread.tasks.push({ resolve, reject });
      thread.worker.postMessage(job, []);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.splice(0).map(({ worker }) => worker.terminate()));
  }

  #leastBusy(): Thread {
    const [first, ...others] = this.#threads;
    let best = first;
    for (const thread of others) if (thread.tasks.length < best!.tasks.length) best = thread;
    const mayStart = this.#threads.length < this.#size;
    return best && (best.tasks.length === 0 || !mayStart) ? best : this.#start();
  }

  #start(): Thread {
    const worker = new Worker(workerUrl('./compress-worker', import.meta.url));
    const thread: Thread = { worker, tasks: [] };
    worker.on('message', (answer: Answer) => {
      const task = thread.tasks.shift()!;
      if ('error' in answer) task.reject(imageFaults.workerDied({ reason: answer.error }));
      else task.resolve(answer.reply);
    });
    worker.on('error', (error) => this.#lose(thread, error.message));
    worker.on('exit', () => this.#lose(thread, 'it exited'));
    this.#threads.push(thread);
    return thread;
  }

  #lose(thread: Thread, reason: string): void {
    const at = this.#threads.indexOf(thread);
    if (at >= 0) this.#threads.splice(at, 1);
    for (const task of thread.tasks.splice(0)) task.reject(imageFaults.workerDied({ reason }));
  }
}
