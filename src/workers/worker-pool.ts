/**
 * Threads that do jobs: hashing, compression, copying between local files.
 *
 *   run ─► queue ─► thread: at most 2 jobs each, one in work, one that waits ─► reply or fault
 *
 * Threads start when there is work for them, so a small run pays for one, and an idle pool keeps no process alive. A thread
 * that dies is a fault of the jobs it had; the next job starts another. With no workers, jobs run in the calling thread.
 */
import { Worker } from 'node:worker_threads';
import type { CallOptions } from '../disk/index.ts';
import { workerFaults } from './faults.ts';
import { END_MESSAGE, answerTo, errorOf, type Answer, type JobHandlers, type JobTypes } from './job.ts';
import { computingThreads } from './thread-counts.ts';

/** A second job waits at the thread while the first runs: the answer's way back costs no idle time. */
const JOBS_PER_WORKER = 2;

export interface WorkerPoolOptions<T extends JobTypes> {
  /** Calls `serveJobs` with the same handlers as `inline` makes. */
  readonly script: URL;
  /** What the script gets as `workerData`. */
  readonly workerData?: unknown;
  /** For a pool without workers. */
  readonly inline: () => JobHandlers<T>;
  /** Threads at most; 0: none. Default: one a processor, at most 16. */
  readonly workers?: number | undefined;
}

interface Task {
  readonly name: string;
  readonly job: object;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (reply: never) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  /** Sent and not answered, in order. */
  readonly tasks: Task[];
}

export class WorkerPool<T extends JobTypes> implements AsyncDisposable {
  /** How many jobs under way keep all threads busy while one more is being prepared: at least 3. */
  readonly depth: number;
  /** Threads at most; 0: jobs run in the calling thread. */
  readonly workers: number;
  readonly #options: WorkerPoolOptions<T>;
  readonly #threads: Thread[] = [];
  readonly #queue: Task[] = [];
  readonly #inline: JobHandlers<T> | undefined;
  #closed = false;

  constructor(options: WorkerPoolOptions<T>) {
    this.#options = options;
    this.workers = options.workers ?? computingThreads();
    this.#inline = this.workers === 0 ? options.inline() : undefined;
    this.depth = JOBS_PER_WORKER * Math.max(1, this.workers) + 1;
  }

  /**
   * Throws what the job throws, `WORKER_DIED`, and the reason of `signal` when the job was not begun by then. A job that was
   * begun is always waited for: nothing of it goes on behind the caller's back.
   */
  run<K extends keyof T & string>(
    name: K,
    job: T[K]['job'],
    options: CallOptions = {},
  ): Promise<T[K]['reply']> {
    if (this.#closed) return Promise.reject(workerFaults.poolClosed());
    return new Promise((resolve, reject) => {
      this.#queue.push({ name, job, signal: options.signal, resolve, reject });
      if (this.#inline) setImmediate(() => this.#runNext()); // lets reads and writes under way make progress
      else this.#dispatch();
    });
  }

  /** Starts all threads before there is work for them: who waits for the first answer does not wait for their start. */
  start(): void {
    while (!this.#closed && this.#threads.length < this.workers) this.#start().worker.unref();
  }

  /** Ends the threads once they have finished what they began; other jobs fail. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const task of this.#queue.splice(0)) task.reject(workerFaults.poolClosed());
    this.#inline?.close?.();
    await Promise.all(this.#threads.map(({ worker }) => endOf(worker)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #nextTask(): Task | undefined {
    for (;;) {
      const task = this.#queue.shift();
      if (!task?.signal?.aborted) return task;
      task.reject(task.signal.reason);
    }
  }

  #runNext(): void {
    const task = this.#nextTask();
    if (task) settle(task, answerTo(this.#inline!, task));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#freeThread();
      const task = thread && this.#nextTask();
      if (!task) return;
      thread.tasks.push(task);
      thread.worker.ref();
      thread.worker.postMessage({ name: task.name, job: task.job }, []);
    }
  }

  #freeThread(): Thread | undefined {
    let best: Thread | undefined;
    for (const thread of this.#threads) {
      if (!best || thread.tasks.length < best.tasks.length) best = thread;
    }
    if ((!best || best.tasks.length > 0) && this.#threads.length < this.workers) return this.#start();
    return best && best.tasks.length < JOBS_PER_WORKER ? best : undefined;
  }

  #start(): Thread {
    const { script, workerData } = this.#options;
    const worker = new Worker(script, { workerData });
    const thread: Thread = { worker, tasks: [] };
    worker.on('message', (answer: Answer) => this.#answered(thread, answer));
    worker.on('error', (error) => this.#lose(thread, error.message));
    worker.on('exit', () => this.#lose(thread, 'it exited'));
    this.#threads.push(thread);
    return thread;
  }

  #answered(thread: Thread, answer: Answer): void {
    settle(thread.tasks.shift()!, answer);
    if (thread.tasks.length === 0) thread.worker.unref();
    this.#dispatch();
  }

  #lose(thread: Thread, reason: string): void {
    const at = this.#threads.indexOf(thread);
    if (at >= 0) this.#threads.splice(at, 1);
    for (const task of thread.tasks.splice(0)) task.reject(workerFaults.died({ reason }));
    if (!this.#closed) this.#dispatch();
  }
}

function settle(task: Task, answer: Answer): void {
  if ('thrown' in answer) task.reject(errorOf(answer.thrown));
  else task.resolve(answer.reply as never);
}

/** The thread finishes what it has, closes its files, and exits. */
function endOf(worker: Worker): Promise<void> {
  return new Promise((resolve) => {
    worker.once('exit', () => resolve());
    worker.ref();
    worker.postMessage(END_MESSAGE, []);
  });
}
