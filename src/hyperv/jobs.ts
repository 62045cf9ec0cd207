/**
 * Jobs: work the host goes on with after the call that started it has been answered.
 *
 *   2..6, 11, 12   under way        7, 32768   done (32768: with warnings)        8, 9, 10   failed
 *
 * A finished job is removed by the host (after 5 minutes on every host seen), so one that cannot be found is neither a
 * success nor a failure: the caller looks for the effect.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { CimInstance, CimReference } from '../winrm/index.ts';
import { jobClass } from './classes/job.ts';
import { hypervFaults } from './faults.ts';
import { growingPauses, type Host } from './host.ts';

export type JobEnd =
  | { readonly kind: 'completed' }
  | { readonly kind: 'failed'; readonly code: number; readonly text: string }
  | { readonly kind: 'vanished' };

export interface JobOptions extends CallOptions {
  /** What the job does, for texts: `make a recovery checkpoint`. */
  readonly what: string;
}

type Job = CimInstance<ReturnType<typeof jobClass>>;

const COMPLETED_STATES: ReadonlySet<number> = new Set([7, 32_768]);
const FAILED_STATES: ReadonlySet<number> = new Set([8, 9, 10]);
/** A host that reboots its network or is busy fails a few polls; with growing pauses five are about 15 s apart at most. */
const FAILED_POLLS_MAX = 5;
/** VSS in a guest gives up after minutes, a conversion of a large VM takes seconds: half an hour means nobody works on it. */
const JOB_MS_MAX = 30 * 60_000;
/** CIM: terminate, the gentle way; 5 would kill. */
const TERMINATE = 4;

/**
 * Waits for the end of `job`. Aborting asks the host to terminate the job and throws the signal's reason.
 * Throws `HYPERV_JOB_STUCK` after half an hour, and the last failure when several polls in a row fail.
 */
export async function waitForJob(host: Host, job: CimReference, options: JobOptions): Promise<JobEnd> {
  const started = host.clock.now();
  let failedPolls = 0;
  try {
    for (const pause of growingPauses(host.pollMs)) {
      const end = await poll(host, job, options.signal).catch((error: unknown) => {
        options.signal?.throwIfAborted();
        if ((failedPolls += 1) >= FAILED_POLLS_MAX) throw error;
        return 'unanswered' as const;
      });
      if (end !== 'unanswered') failedPolls = 0;
      if (typeof end === 'object') return end;
      if (host.clock.now() - started > JOB_MS_MAX) {
        throw hypervFaults.jobStuck({ what: options.what, seconds: JOB_MS_MAX / 1000 });
      }
      await host.clock.sleep(pause, options.signal);
    }
  } catch (error) {
    if (options.signal?.aborted || hasCode(error, 'HYPERV_JOB_STUCK')) await terminate(host, job);
    throw error;
  }
  throw new Error('unreachable: the pauses have no end');
}

async function poll(host: Host, ref: CimReference, signal?: AbortSignal): Promise<JobEnd | 'running'> {
  try {
    return judge(await host.session.get(jobClass(ref.className), ref.keys, { signal }));
  } catch (error) {
    if (hasCode(error, 'WINRM_NOT_FOUND')) return { kind: 'vanished' };
    throw error;
  }
}

/** What a job's numbers say. An unknown state counts as running: the limit of time ends it. */
export function judge(job: Job): JobEnd | 'running' {
  const state = job.JobState ?? 0;
  const failed = FAILED_STATES.has(state);
  if (!failed && !COMPLETED_STATES.has(state)) return 'running';
  const code = job.ErrorCode ?? 0;
  if (!failed && code === 0) return { kind: 'completed' };
  return { kind: 'failed', code: code === 0 ? state : code, text: errorText(job) };
}

/** The host's own words, in its own language: shown, never interpreted. */
function errorText(job: Job): string {
  const text = [job.ErrorSummaryDescription, job.ErrorDescription].find((words) => words?.trim());
  return text ? text.replace(/\s+/g, ' ').trim().slice(0, 500) : 'the host gives no reason';
}

/** Best effort: what becomes of the job is found out by its effect, not by this answer. */
async function terminate(host: Host, job: CimReference): Promise<void> {
  await host.session
    .invoke(jobClass(job.className), job.keys, 'RequestStateChange', { RequestedState: TERMINATE })
    .catch(() => undefined);
}
