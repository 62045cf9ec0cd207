/**
 * Jobs: how Hyper-V does nearly everything.
 *
 *   2 new ─► 3 starting ─► 4 running ─► 7 completed | 32768 with warnings | 10 exception | 8 terminated | 9 killed
 *
 * The effect happens at the beginning of state 4, and what it created is associated with the job only at its end, as was
 * recorded (recorded_affectedjobelement_*). A finished job disappears after a while.
 */
import { newGuid } from '../../src/base/index.ts';
import type { LabPath } from '../cim.ts';
import type { LabClock } from './clock.ts';
import { LabFailure } from './failure.ts';
import type { LabOptions } from './options.ts';
import { ofKind, type Misbehaviour } from './rehearsal.ts';
import { RETURN } from './return-codes.ts';

export const JOB_TYPE = {
  define: 1,
  modify: 2,
  start: 12,
  powerOff: 13,
  save: 14,
  pause: 26,
  reset: 28,
  snapshot: 70,
  applySnapshot: 71,
  deleteSnapshot: 72,
  convert: 200,
  deleteReferencePoint: 202,
} as const;

export const JOB_STATE = {
  new: 2,
  starting: 3,
  running: 4,
  completed: 7,
  terminated: 8,
  killed: 9,
  exception: 10,
  warned: 32768,
} as const;

export interface JobRequest {
  readonly type: number;
  /** `DOMAIN\user` */
  readonly owner: string;
  /** What the job works on: its rows with ElementEffects 0. */
  readonly affected: LabPath;
  /** Does it; returns what it created. Throws a {@link LabFailure} for an error the host would report. */
  work(): Promise<LabPath | undefined>;
  /** Called once, when the job has ended in whatever way. */
  ended?(): void;
  readonly misbehaviours?: readonly Misbehaviour[];
}

export class Job {
  readonly id = newGuid().toUpperCase();
  readonly request: JobRequest;
  readonly submittedAt: number;
  readonly cancelled = new AbortController();
  state: number = JOB_STATE.new;
  finishedAt: number | undefined;
  created: LabPath | undefined;
  errorCode = 0;
  errorText = '';

  constructor(request: JobRequest, now: number) {
    this.request = request;
    this.submittedAt = now;
  }

  get path(): LabPath {
    return { className: 'Msvm_ConcreteJob', keys: { InstanceID: this.id } };
  }
}

export class JobTable {
  readonly #clock: LabClock;
  readonly #options: () => LabOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #running = new Map<Job, Promise<void>>();

  constructor(clock: LabClock, options: () => LabOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  start(request: JobRequest): Job {
    const job = new Job(request, this.#clock.now());
    this.#jobs.set(job.id, job);
    this.#running.set(
      job,
      this.#run(job).finally(() => this.#running.delete(job)),
    );
    return job;
  }

  /** Jobs that still have an instance, oldest first. */
  visible(): Job[] {
    const oldest = this.#clock.now() - this.#options().jobRemovalMs;
    for (const [id, job] of this.#jobs) {
      if (job.finishedAt !== undefined && job.finishedAt < oldest) this.#jobs.delete(id);
    }
    return [...this.#jobs.values()];
  }

  find(id: string): Job | undefined {
    return this.visible().find((job) => job.id.toLowerCase() === id.toLowerCase());
  }

  /** RequestStateChange 4 (terminate) or 5 (kill): false when the job has ended already. */
  cancel(job: Job, requestedState: number): boolean {
    if (job.finishedAt !== undefined) return false;
    job.cancelled.abort(new Cancelled(requestedState === 5 ? JOB_STATE.killed : JOB_STATE.terminated));
    return true;
  }

  /** Every job has ended. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async close(): Promise<void> {
    for (const job of this.#running.keys()) this.cancel(job, 5);
    await this.settle();
  }

  async #run(job: Job): Promise<void> {
    const misbehaviours = job.request.misbehaviours ?? [];
    try {
      await this.#work(job, misbehaviours);
      job.state = ofKind(misbehaviours, 'warn-job') ? JOB_STATE.warned : JOB_STATE.completed;
    } catch (error) {
      endInError(job, error);
    }
    job.finishedAt = this.#clock.now();
    job.request.ended?.();
    if (ofKind(misbehaviours, 'vanish-job')) this.#jobs.delete(job.id);
  }

  async #work(job: Job, misbehaviours: readonly Misbehaviour[]): Promise<void> {
    const { newMs, startingMs, runningMs } = this.#options().job;
    const signal = job.cancelled.signal;
    const failure = ofKind(misbehaviours, 'fail-job');
    await this.#clock.sleep(newMs, signal);
    job.state = JOB_STATE.starting;
    await this.#clock.sleep(startingMs, signal);
    job.state = JOB_STATE.running;
    if (ofKind(misbehaviours, 'stick-job')) await untilAborted(signal);
    const created = failure && !failure.afterEffect ? undefined : await job.request.work();
    await this.#clock.sleep(runningMs);
    if (failure) throw new LabFailure(failure.code, 'rehearsed');
    job.created = created;
  }
}

class Cancelled extends Error {
  readonly state: number;

  constructor(state: number) {
    super('the job was cancelled');
    this.state = state;
  }
}

function endInError(job: Job, error: unknown): void {
  job.state = error instanceof Cancelled ? error.state : JOB_STATE.exception;
  job.errorCode = error instanceof LabFailure ? error.code : RETURN.failed;
  job.errorText = (error as Error).message;
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
