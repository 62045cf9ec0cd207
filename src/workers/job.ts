/**
 * Jobs and the messages that carry them. A job is plain data (shared buffers, paths, numbers), answered by plain data; what a
 * job throws crosses as data too and is thrown again, as the same fault, by whoever waits for it.
 */
import { Fault, declaredFaults, isFault, type FaultDetails } from '../base/index.ts';
import { workerFaults } from './faults.ts';

/** What a kind of worker does, by name: `type CopyJobs = { fill: { job: FillJob; reply: FillReply } }`. */
export type JobTypes = Record<string, { readonly job: object; readonly reply: unknown }>;

/** The work itself, synchronous: a thread does one job after the other. */
export interface JobHandlers<T extends JobTypes> {
  readonly jobs: { readonly [K in keyof T]: (job: T[K]['job']) => T[K]['reply'] };
  /** Bytes of a reply that go to who asked without being copied; they are gone here. */
  moved?(reply: T[keyof T]['reply']): readonly Uint8Array[];
  /** Lets go of what jobs opened. */
  close?(): void;
}

export interface JobMessage {
  readonly name: string;
  readonly job: object;
}

export const END_MESSAGE = 'end';

export type Answer = { readonly reply: unknown } | { readonly thrown: Thrown };

type Thrown = { readonly code: string; readonly details: FaultDetails } | { readonly reason: string };

/** Runs the job of a message. Never throws. */
export function answerTo<T extends JobTypes>(handlers: JobHandlers<T>, { name, job }: JobMessage): Answer {
  const work = handlers.jobs as Readonly<Record<string, (job: object) => unknown>>;
  try {
    return { reply: work[name]!(job) };
  } catch (error) {
    return { thrown: thrownOf(error) };
  }
}

function thrownOf(error: unknown): Thrown {
  if (isFault(error)) return { code: error.code, details: error.details };
  return { reason: (error as Error).stack ?? String(error) };
}

/** What the job threw: its fault, or `WORKER_JOB_FAILED` with the stack of what was never meant to be thrown. */
export function errorOf(thrown: Thrown): Fault {
  if ('reason' in thrown) return workerFaults.jobFailed({ reason: thrown.reason });
  return new Fault(thrown.code, declaredFaults.get(thrown.code)!, thrown.details);
}
