/**
 * Worker threads for jobs. Threads start when there is work for them, so a small run pays for one; an idle pool keeps no
 * process alive. With no workers, jobs run in the calling thread.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { workerUrl } from '../base/index.ts';
import { repositoryFaults } from './faults.ts';
import { JobRunner, type Job, type ReplyOf } from './jobs.ts';
import type { ObjectKeys } from './keys.ts';

const WORKERS_MAX = 16;
/** A second job waits at the worker while the first runs: the answer's way back costs no idle time. */
const JOBS_PER_WORKER = 2;

interface Task {
  readonly job: Job;
  readonly resolve: (reply: never) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  /** Sent and not answered, in order. */
  readonly tasks: Task[];
}

type Answer = { readonly reply: never } | { readonly error: string };

export class WorkerPool {
  readonly #keys: ObjectKeys;
  readonly #size: number;
  readonly #threads: Thread[] = [];
  readonly #queue: Task[] = [];
  readonly #inline: JobRunner | undefined;
  #closed = false;

  /** `workers`: how many threads at most; default: one a processor. */
  constructor(keys: ObjectKeys, workers: number = Math.min(availableParallelism(), WORKERS_MAX)) {
    this.#keys = keys;
    this.#size = workers;
    this.#inline = workers === 0 ? new JobRunner(keys) : undefined;
  }

  run<J extends Job>(job: J): Promise<ReplyOf<J>> {
    if (this.#closed) return Promise.reject(repositoryFaults.sessionClosed());
    if (this.#inline) return this.#runInline(this.#inline, job);
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#dispatch();
    });
  }

  /** Ends the threads; jobs that were not begun fail. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#inline?.close();
    for (const task of this.#queue.splice(0)) task.reject(repositoryFaults.sessionClosed());
    await Promise.all(this.#threads.map((thread) => endOf(thread)));
  }

  async #runInline<J extends Job>(runner: JobRunner, job: J): Promise<ReplyOf<J>> {
    await new Promise(setImmediate); // lets reads and writes under way make progress
    return runner.run(job);
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#freeThread();
      if (!thread) return;
      const task = this.#queue.shift()!;
      thread.tasks.push(task);
      thread.worker.ref();
      thread.worker.postMessage(task.job, []);
    }
  }

  #freeThread(): Thread | undefined {
    let best: Thread | undefined;
    for (const thread of this.#threads) {
      if (!best || thread.tasks.length < best.tasks.length) best = thread;
    }
    if ((!best || best.tasks.length > 0) && this.#threads.length < this.#size) return this.#start();
    return best && best.tasks.length < JOBS_PER_WORKER ? best : undefined;
  }

  #start(): Thread {
    const worker = new Worker(workerUrl('./worker', import.meta.url), { workerData: this.#keys });
    const thread: Thread = { worker, tasks: [] };
    worker.on('message', (answer: Answer) => this.#settle(thread, answer));
    worker.on('error', (error) => this.#lose(thread, error.message));
    worker.on('exit', () => this.#lose(thread, 'it exited'));
    this.#threads.push(thread);
    return thread;
  }

  #settle(thread: Thread, answer: Answer): void {
    const task = thread.tasks.shift()!;
    if ('error' in answer) task.reject(repositoryFaults.workerDied({ reason: answer.error }));
    else task.resolve(answer.reply);
    if (thread.tasks.length === 0) thread.worker.unref();
    this.#dispatch();
  }

  #lose(thread: Thread, reason: string): void {
    const at = this.#threads.indexOf(thread);
    if (at >= 0) this.#threads.splice(at, 1);
    for (const task of thread.tasks.splice(0)) task.reject(repositoryFaults.workerDied({ reason }));
    if (!this.#closed) this.#dispatch();
  }
}

/** The thread finishes what it has, closes its files, and exits. */
function endOf({ worker }: Thread): Promise<void> {
  return new Promise((resolve) => {
    worker.once('exit', () => resolve());
    worker.ref();
    worker.postMessage('close', []);
  });
}
