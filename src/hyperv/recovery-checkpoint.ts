/**
 * A recovery checkpoint of ours, from the request to the owner mark:
 *
 *   list before ─► CreateSnapshot ─► its result (by the job, else by the list) ─► ModifySystemSettings (name) ─► read back
 *
 * Until it carries its name nobody can tell whose it is, so whatever goes wrong in between removes it again.
 */
import { hasCode, withTimeout } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { embedded, type CimReference, type MethodInput } from '../winrm/index.ts';
import { awaitEffect, changeHost, isAnswerLost, refusalFault, type Refusal } from './changes-on-host.ts';
import {
  isNamedByHost,
  listCheckpoints,
  readCheckpoint,
  removeCheckpoint,
  type Checkpoint,
} from './checkpoints.ts';
import { Msvm_VirtualSystemSettingData } from './classes/settings.ts';
import {
  Msvm_VirtualSystemSnapshotService,
  Msvm_VirtualSystemSnapshotSettingData,
} from './classes/snapshot-service.ts';
import { createdBy, sameId } from './created-elements.ts';
import { hypervFaults } from './faults.ts';
import { serviceKeys, type Host } from './host.ts';
import { giveOwnerMark, type OwnerMarkOptions } from './owner-mark.ts';
import { isAccessDenied, isWrongState } from './return-codes.ts';
import { readVm, vmReference } from './vms.ts';

export interface RecoveryCheckpointOptions extends OwnerMarkOptions {
  /** `application` asks the guest (VSS, or file system freeze on Linux); `crash` does not. */
  readonly consistency: 'application' | 'crash';
  /**
   * With `application`: the guest is told of a full backup, so that its writers may truncate their logs at once, whatever
   * becomes of this run. Default: of a copy, which leaves logs to the backup software inside the guest.
   */
  readonly truncateLogs?: boolean;
}

const WHAT = 'make a recovery checkpoint';
const RECOVERY = 32_768;
const CONSISTENCY_LEVELS = { application: 1, crash: 2 } as const;
/** Msvm_VirtualSystemSnapshotSettingData.GuestBackupType. */
const GUEST_BACKUP = { full: 1, copy: 2 } as const;
/** Clean-up must work after the run was cancelled, so it has a limit of its own. */
const CLEAN_UP_MS_MAX = 120_000;

/** What is known about the request when it ends badly. */
interface Attempt {
  readonly host: Host;
  readonly vmId: string;
  /** What it is to be called. */
  readonly name: string;
  readonly before: readonly Checkpoint[];
  /** The request may have reached the host, so there may be a checkpoint nobody knows. */
  reached: boolean;
  /** The host's job for it, when it said so. */
  job?: CimReference;
}

export async function makeRecoveryCheckpoint(
  host: Host,
  vmId: string,
  options: RecoveryCheckpointOptions,
): Promise<Checkpoint> {
  const before = await listCheckpoints(host, vmId, options);
  const attempt: Attempt = { host, vmId, name: options.name, before, reached: false };
  try {
    const made = await create(attempt, options);
    await giveOwnerMark(host, made, options);
    return { ...made, name: options.name };
  } catch (error) {
    if (attempt.reached) await removeUnmarked(attempt, error);
    throw error;
  }
}

async function create(attempt: Attempt, options: RecoveryCheckpointOptions): Promise<Checkpoint> {
  const { host, vmId } = attempt;
  const input = {
    AffectedSystem: await vmReference(host, vmId, options),
    SnapshotSettings: embedded(Msvm_VirtualSystemSnapshotSettingData, {
      ConsistencyLevel: CONSISTENCY_LEVELS[options.consistency],
      GuestBackupType: options.truncateLogs ? GUEST_BACKUP.full : GUEST_BACKUP.copy,
      IgnoreNonSnapshottableDisks: true,
    }),
    SnapshotType: RECOVERY,
  };
  const outcome = await changeHost<Checkpoint>(
    host,
    {
      what: WHAT,
      call: (call) => ask(attempt, input, call),
      look: (_job, call) => findMade(attempt, call),
      isBusy: async (call) => (await readVm(host, vmId, call)).busy !== undefined,
    },
    { signal: options.signal },
  ).catch((error: unknown) => {
    if (hasCode(error, 'HYPERV_EFFECT_MISSING')) attempt.reached = false; // it was looked for long enough
    throw error;
  });
  if (outcome.kind === 'done') return outcome.value;
  attempt.reached = false; // whatever the list shows that is new, another made
  await removeCreated(attempt, outcome.refusal);
  throw creationFault(vmId, await recoveryNames(attempt, options), options, outcome.refusal);
}

type CreateInput = MethodInput<typeof Msvm_VirtualSystemSnapshotService, 'CreateSnapshot'>;

async function ask(attempt: Attempt, input: CreateInput, options: CallOptions) {
  const service = Msvm_VirtualSystemSnapshotService;
  attempt.reached = true;
  try {
    const answer = await attempt.host.session.invoke(
      service,
      serviceKeys(service),
      'CreateSnapshot',
      input,
      options,
    );
    if (answer.Job) attempt.job = answer.Job;
    return answer;
  } catch (error) {
    attempt.reached = options.signal?.aborted === true || isAnswerLost(error);
    throw error;
  }
}

/**
 * What the job made, or else the recovery checkpoint that was not there before. The job is the better witness: it works
 * before listings show the checkpoint. But jobs vanish and answers are lost, and a host allows one recovery checkpoint of
 * a VM at a time, so one new in the list that nobody else has named is ours; two mean that this does not hold.
 */
async function findMade(attempt: Attempt, options: CallOptions): Promise<Checkpoint | undefined> {
  const { host, vmId, job } = attempt;
  const created = job ? await createdBy(host, job, Msvm_VirtualSystemSettingData.name, options) : [];
  if (created.length === 1) return readCheckpoint(host, vmId, created[0]!, options);
  return onlyFresh(attempt, options);
}

/** The one recovery checkpoint that was not there before, and has our name or none yet. */
async function onlyFresh(attempt: Attempt, options: CallOptions): Promise<Checkpoint | undefined> {
  const { host, vmId, name, before } = attempt;
  const fresh = (await listCheckpoints(host, vmId, options)).filter(
    (one) => one.kind === 'recovery' && !before.some((old) => sameId(old.instanceId, one.instanceId)),
  );
  if (fresh.length === 0) return undefined;
  const vm = await readVm(host, vmId, options);
  const ours = fresh.filter((one) => one.name === name || isNamedByHost(one, vm.name));
  if (ours.length > 1) throw hypervFaults.effectAmbiguous({ what: WHAT, count: ours.length });
  return ours[0];
}

/** A job may fail after it has made its checkpoint. Only what the job itself names is removed: the list might show another's. */
async function removeCreated({ host, vmId }: Attempt, refusal: Refusal): Promise<void> {
  const { job } = refusal;
  if (!job) return;
  await cleanUp(vmId, refusalFault(WHAT, refusal), async (options) => {
    const look = (_job: unknown, call: CallOptions) =>
      createdBy(host, job, Msvm_VirtualSystemSettingData.name, call);
    const created = await awaitEffect(host, { look, isBusy: async () => false }, undefined, options);
    for (const instanceId of created ?? []) await removeCheckpoint(host, { vmId, instanceId }, options);
  });
}

async function recoveryNames({ host, vmId }: Attempt, options: CallOptions): Promise<string[]> {
  const checkpoints = await listCheckpoints(host, vmId, options);
  return checkpoints.filter((one) => one.kind === 'recovery').map((one) => one.name);
}

/**
 * `others` are the recovery checkpoints that stand now: the likely reason, and perhaps what our own failed job left without
 * naming it. Which it is cannot be told, so they are named and not touched. Which refusals are about consistency, the
 * numbers do not tell either: the caller knows what it asked for.
 */
function creationFault(
  vmId: string,
  others: readonly string[],
  options: RecoveryCheckpointOptions,
  refusal: Refusal,
): Error {
  const { code, text: reason, job } = refusal;
  if (isAccessDenied(code)) return refusalFault(WHAT, refusal);
  if (others.length > 0) {
    return hypervFaults.checkpointBlocked({ vm: vmId, code, others: others.join(', ') });
  }
  if (!job && isWrongState(code)) return refusalFault(WHAT, refusal);
  return hypervFaults.checkpointFailed({ vm: vmId, consistency: options.consistency, code, reason });
}

/** Looks for a checkpoint of a request that ended badly, for as long as it may still appear, and destroys it. */
async function removeUnmarked(attempt: Attempt, cause: unknown): Promise<void> {
  const { host, vmId } = attempt;
  await cleanUp(vmId, cause, async (options) => {
    const look = (_job: unknown, call: CallOptions) => findMade(attempt, call);
    const isBusy = async (call: CallOptions) => (await readVm(host, vmId, call)).busy !== undefined;
    const left = await awaitEffect(host, { look, isBusy }, undefined, options);
    if (left) await removeCheckpoint(host, left, options);
  });
}

/** What could not be removed is said, whatever else went wrong. */
async function cleanUp(
  vmId: string,
  cause: unknown,
  work: (options: CallOptions) => Promise<void>,
): Promise<void> {
  using limit = withTimeout(CLEAN_UP_MS_MAX, 'removing a checkpoint');
  try {
    await work({ signal: limit.signal });
  } catch {
    throw hypervFaults.checkpointLeft({ vm: vmId }, { cause });
  }
}
