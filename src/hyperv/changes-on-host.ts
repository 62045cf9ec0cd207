/**
 * Calls that change the host. What counts is the effect, because every report of it can be lost:
 *
 *   call ──► done ─────────────────────┐
 *        ──► job ──► completed ────────┤
 *        │       └─► failed ──► refused │
 *        │       └─► vanished ─────────┼──► look for the effect ──► there: done
 *        ──► answer lost ──────────────┤                      └──► not there: HYPERV_EFFECT_MISSING
 *        ──► refused code ──► refused
 *
 * A call whose answer was lost is never repeated: the host may still be at it, and a second checkpoint would be nobody's.
 * One that was answered by a 401 (the host forgot the log-on) is, once, when its effect does not show either: the host does
 * not run such a call, but the 401 is not sealed, and whoever stands between may have said it.
 */
import { hasCode, isFault, type Fault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { CimReference } from '../winrm/index.ts';
import { hypervFaults } from './faults.ts';
import { growingPauses, type Host } from './host.ts';
import { waitForJob } from './jobs.ts';
import { isAccessDenied, isWrongState, JOB_STARTED, SUCCEEDED } from './return-codes.ts';

export interface HostChange<T> {
  /** `make a recovery checkpoint`: completes "the host was asked to …". */
  readonly what: string;
  call(options: CallOptions): Promise<{ readonly returnValue: number; readonly Job: CimReference | null }>;
  /** The effect, or undefined while it does not show. `job` is known when the host answered with one. */
  look(job: CimReference | undefined, options: CallOptions): Promise<T | undefined>;
  /** True while the host is visibly at it: then a lost answer is waited for longer. */
  isBusy(options: CallOptions): Promise<boolean>;
}

/** The host said no, by the call's code or by the end of its job. */
export interface Refusal {
  readonly code: number;
  readonly text: string;
  /** The job that failed; absent when the call was refused at once, with one of its documented codes. */
  readonly job?: CimReference;
}

export type ChangeOutcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

type CallEnd =
  | { readonly kind: 'over'; readonly job: CimReference | undefined; readonly cause?: unknown }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

// A new checkpoint was seen to appear in listings up to 15 s after its job had ended (facts of a Go agent's authors).
const LATE_MS = 20_000;
/** As long as the host shows an operation on the VM, its effect may still come; VSS in a guest takes minutes. */
const BUSY_MS_MAX = 10 * 60_000;

export async function changeHost<T>(
  host: Host,
  change: HostChange<T>,
  options: CallOptions = {},
): Promise<ChangeOutcome<T>> {
  options.signal?.throwIfAborted();
  for (let again = false; ; again = true) {
    const end = await callToItsEnd(host, change, options);
    if (end.kind === 'refused') return end;
    const value = await awaitEffect(host, change, end.job, options);
    if (value !== undefined) return { kind: 'done', value };
    if (!again && isTurnedAway(end)) continue;
    throw hypervFaults.effectMissing({ what: change.what, seconds: LATE_MS / 1000 }, { cause: end.cause });
  }
}

/** The call itself was answered by a 401, not a look at the job it had started. */
function isTurnedAway({ job, cause }: CallEnd & { kind: 'over' }): boolean {
  return job === undefined && hasCode(cause, 'WINRM_SESSION_EXPIRED');
}

/** Like {@link changeHost} for a change that is fine when it was there already: a refusal counts only when the effect is missing. */
export async function ensureOnHost(
  host: Host,
  change: HostChange<true>,
  options: CallOptions = {},
): Promise<void> {
  if (await change.look(undefined, options)) return;
  let outcome: ChangeOutcome<true>;
  try {
    outcome = await changeHost(host, change, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isFault(error) || (await change.look(undefined, options)) === undefined) throw error;
    return;
  }
  if (outcome.kind === 'done' || (await change.look(undefined, options))) return;
  throw refusalFault(change.what, outcome.refusal);
}

async function callToItsEnd<T>(host: Host, change: HostChange<T>, options: CallOptions): Promise<CallEnd> {
  let job: CimReference | undefined;
  try {
    const answer = await change.call(options);
    if (answer.returnValue === SUCCEEDED) return { kind: 'over', job };
    if (answer.returnValue !== JOB_STARTED) return refusedAtOnce(answer.returnValue);
    if (!answer.Job) return { kind: 'over', job };
    job = answer.Job;
    const end = await waitForJob(host, job, { what: change.what, ...options });
    if (end.kind !== 'failed') return { kind: 'over', job };
    return { kind: 'refused', refusal: { code: end.code, text: end.text, job } };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (job === undefined && !isAnswerLost(error)) throw error;
    if (hasCode(error, 'HYPERV_JOB_STUCK')) throw error;
    return { kind: 'over', job, cause: error };
  }
}

const refusedAtOnce = (code: number): CallEnd => ({
  kind: 'refused',
  refusal: { code, text: 'refused at once' },
});

/** The call may have reached the host although no answer came back. */
export function isAnswerLost(error: unknown): boolean {
  return hasCode(error, 'WINRM_EFFECT_UNKNOWN', 'WINRM_TIMED_OUT', 'WINRM_SESSION_EXPIRED');
}

/** Looks until the effect shows, for 20 s after the host was last seen busy with the VM. */
export async function awaitEffect<T>(
  host: Host,
  change: Pick<HostChange<T>, 'look' | 'isBusy'>,
  job: CimReference | undefined,
  options: CallOptions,
): Promise<T | undefined> {
  const started = host.clock.now();
  let lastBusy = started;
  for (const pause of growingPauses(host.pollMs)) {
    const seen = await lookOnce(change, job, options);
    if (seen.value !== undefined) return seen.value;
    const now = host.clock.now();
    if (seen.busy && now - started < BUSY_MS_MAX) lastBusy = now;
    if (now - lastBusy >= LATE_MS) {
      if (seen.error) throw seen.error;
      return undefined;
    }
    await host.clock.sleep(pause, options.signal);
  }
  return undefined;
}

interface Look<T> {
  readonly value?: T | undefined;
  readonly busy: boolean;
  readonly error?: Fault;
}

/** A host that cannot be reached for a moment is looked at again; its last error counts only when the time is over. */
async function lookOnce<T>(
  change: Pick<HostChange<T>, 'look' | 'isBusy'>,
  job: CimReference | undefined,
  options: CallOptions,
): Promise<Look<T>> {
  try {
    const value = await change.look(job, options);
    return { value, busy: value === undefined && (await change.isBusy(options)) };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (isFault(error) && error.kind === 'retry' && error.code.startsWith('WINRM_'))
      return { busy: false, error };
    throw error;
  }
}

/** A refusal as the user meets it. Codes decide; the host's text is carried along. */
export function refusalFault(what: string, refusal: Refusal): Fault {
  const details = { what, code: refusal.code, reason: refusal.text };
  if (isAccessDenied(refusal.code)) return hypervFaults.accessDenied(details);
  if (!refusal.job && isWrongState(refusal.code)) return hypervFaults.wrongState(details);
  return hypervFaults.operationFailed(details);
}
