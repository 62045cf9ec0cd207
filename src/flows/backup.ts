/**
 * Backup of one VM into a repository.
 *
 *   lock the VM ─► capture ─► per disk: read and store ─► commit the restore point (re-read, verified)
 *     ─► seal the checkpoint into a reference point ─► record it as the baseline ─► destroy the older ones ─► confirm
 *
 * Until the commit nothing of the run is visible in the repository; after it, whatever fails is a warning about the next
 * run, because the restore point stands (I5, I11).
 */
import {
  newGuid,
  silentProgress,
  warningOf,
  type Fault,
  type FaultFactory,
  type Progress,
  type Warning,
} from '../base/index.ts';
import type {
  Capture,
  CheckpointBudget,
  ConsistencyPolicy,
  DiskSelection,
  SealedReference,
  Source,
} from '../capture/index.ts';
import type { AuditBudget, FoldBudget, Repository, RestorePoint } from '../repository/index.ts';
import { baselinesOfRun } from './backup-baselines.ts';
import { roomOf } from './backup-room.ts';
import { flowFaults } from './faults.ts';
import { hasMoved } from './moved-vm.ts';
import { dateWarnings } from './point-date.ts';
import type { BackupRecord } from './run-record.ts';
import { storeDisks } from './store-disks.ts';

export interface BackupRequest {
  readonly vm: string;
  /** Default: a new one. A caller that keeps records of failed runs too names the run itself. */
  readonly runId?: string;
  /** Whose baselines are used and renewed; default: the repository's unnamed consumer. */
  readonly consumer?: string | undefined;
  readonly full?: boolean;
  readonly consistency?: ConsistencyPolicy;
  /** Tell the guest that its applications may truncate their logs; default: a copy, which leaves them alone. */
  readonly truncateLogs?: boolean;
  readonly skipUnprotectable?: boolean;
  /** Which disks; default: all. */
  readonly disks?: DiskSelection | undefined;
  /** Refuses a VM with a disk on more files than this. */
  readonly chainFilesMax?: number | undefined;
  /** How much the checkpoint may take before the run is given up; default: half of what is free at the start. */
  readonly checkpointBudget?: CheckpointBudget | undefined;
  /** Between two looks at the room of the host. */
  readonly lookEveryMs?: number | undefined;
  /** How much of each increment's unreported ranges is compared; default: 0.1 % of the disk or 64 MiB, whichever is more. */
  readonly audit?: AuditBudget | undefined;
  /** How much is stored of each disk beyond what changed, so that a restore reads whole slots; default: 5 % of what changed. */
  readonly fold?: FoldBudget | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress;
  /** How long to wait for the host to merge the checkpoint before the run ends with a warning. */
  readonly mergeTimeoutMs?: number;
  /** Threads that hash, compress and seal; default: one a processor. 0: none, which is quicker for disks of a few MiB. */
  readonly workers?: number | undefined;
}

export interface BackupDeps {
  readonly source: Source;
  readonly repository: Repository;
  /** The VM's GUID for a name or GUID: the lock and the baselines are kept under it. */
  resolveVm(
    nameOrId: string,
    options: { signal?: AbortSignal | undefined },
  ): Promise<{ id: string; name: string }>;
}

const MERGE_TIMEOUT_MS = 2 * 60_000;
const CLEAN_UP_TIMEOUT_MS = 5 * 60_000;

export async function backupVm(deps: BackupDeps, request: BackupRequest): Promise<BackupRecord> {
  const { signal } = request;
  const vm = await deps.resolveVm(request.vm, { signal });
  await using _lock = await deps.repository.lockVm(vm.id, { signal });
  return await runFollowing(deps, { ...request, vm: vm.id }); // awaited here: the lock is let go when this function is left
}

/** A run that failed while its VM went to another node of a cluster begins anew there, once. */
async function runFollowing(deps: BackupDeps, request: BackupRequest): Promise<BackupRecord> {
  try {
    return await runBackup(deps, request);
  } catch (error) {
    if (!(await hasMoved(deps.source, request.vm, request))) throw error;
    request.progress?.note(`the VM moved to another node (${messageOf(error)}); beginning anew there`);
    return await runBackup(deps, request);
  }
}

async function runBackup(deps: BackupDeps, request: BackupRequest): Promise<BackupRecord> {
  const runId = request.runId ?? newGuid();
  const startedAt = new Date().toISOString();
  // Aborts when the run is cancelled, and when its checkpoint takes more room than it may.
  const room = roomOf(request);
  const asked = { ...request, signal: room.signal };
  const { baselines, capture: captureRequest } = await baselinesOfRun(deps.repository, asked, runId);
  const capture = await deps.source.open(captureRequest);
  const warnings = [...capture.warnings];
  try {
    const stored = await room.watching(capture, () =>
      storeDisks(deps.repository, capture, {
        runId,
        consumer: request.consumer,
        baselines,
        audit: request.audit,
        fold: request.fold,
        progress: request.progress ?? silentProgress,
        signal: room.signal,
        workers: request.workers,
      }),
    );
    const { point, disks } = stored;
    warnings.push(...stored.warnings, ...(await finish(deps, request, capture, point)));
    warnings.push(...(await lostNotes(deps.repository, capture)), ...dateWarnings(point));
    return {
      type: 'backup',
      runId,
      vm: { id: capture.vm.id, name: capture.vm.name, host: capture.vm.host },
      ...(request.consumer === undefined ? {} : { consumer: request.consumer }),
      startedAt,
      finishedAt: new Date().toISOString(),
      outcome: warnings.length > 0 ? 'warnings' : 'ok',
      pointId: point.id,
      consistency: capture.consistency,
      disks,
      leftOut: capture.leftOut,
      warnings,
    };
  } catch (error) {
    await abortQuietly(capture);
    throw error;
  }
}

/** Everything after the commit. The restore point stands, so what fails here is a warning about the next run. */
async function finish(
  deps: BackupDeps,
  request: BackupRequest,
  capture: Capture,
  point: RestorePoint,
): Promise<Warning[]> {
  const { progress = silentProgress } = request;
  progress.phase('handing over the checkpoint');
  // Not by the run's own signal: a conversion cut short leaves a reference point that nobody knows to be ours.
  const options = { signal: AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS) };
  let sealed: SealedReference | undefined;
  try {
    sealed = await capture.seal(options);
  } catch (error) {
    await abortQuietly(capture);
    return [warningOf(flowFaults.baselineNotSealed({ point: point.id, reason: messageOf(error) }))];
  }
  const adopted = sealed
    ? await asWarning(flowFaults.baselineNotAdopted, point, () =>
        adopt(deps.repository, capture, { point, sealed, consumer: request.consumer }, options),
      )
    : [];
  progress.phase('waiting for the host to merge');
  const confirmed = await asWarning(flowFaults.checkpointNotConfirmed, point, () =>
    confirmGone(capture, request),
  );
  return [...adopted, ...confirmed];
}

/** A note that nobody can read would be met by every run: it is told of once, and goes. When that fails, the next run does it. */
async function lostNotes(repository: Repository, { vm }: Capture): Promise<Warning[]> {
  const notes = await repository.journal.dropDamaged(vm.id).catch((): string[] => []);
  return notes.map((note) => warningOf(flowFaults.noteLost({ vm: vm.name, note })));
}

async function asWarning(
  fault: FaultFactory,
  point: RestorePoint,
  step: () => Promise<Fault[]>,
): Promise<Warning[]> {
  try {
    return (await step()).map(warningOf);
  } catch (error) {
    return [warningOf(fault({ point: point.id, reason: messageOf(error) }))];
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Records the new baseline, then destroys the reference points of the consumer's older ones (I4, I5), and no other's. */
async function adopt(
  repository: Repository,
  capture: Capture,
  made: { point: RestorePoint; sealed: SealedReference; consumer: string | undefined },
  options: { signal: AbortSignal | undefined },
): Promise<Fault[]> {
  const { point, sealed, consumer } = made;
  const recorded = await repository.baselines(capture.vm.id, options);
  const older = recorded.filter((each) => each.consumer === consumer);
  await repository.recordBaseline({
    ...sealed,
    pointId: point.id,
    vmId: capture.vm.id,
    ...(consumer === undefined ? {} : { consumer }),
  });
  await capture.settled();
  await capture.retire(
    older.map((each) => each.referencePointId),
    options,
  );
  for (const each of older) await repository.forgetBaseline(each, options);
  if (sealed.consistency === capture.consistency.reached) return [];
  return [flowFaults.consistencyLowered({ consistency: sealed.consistency })];
}

async function confirmGone(capture: Capture, request: BackupRequest): Promise<Fault[]> {
  const timeoutMs = request.mergeTimeoutMs ?? MERGE_TIMEOUT_MS;
  const state = await capture.confirm({ timeoutMs, signal: request.signal });
  if (state === 'merged') return [];
  return [flowFaults.mergeRunning({ vm: capture.vm.name, seconds: Math.round(timeoutMs / 1000) })];
}

/** Cleaning up must work although the run was cancelled, and its own failure must not hide the first error. */
async function abortQuietly(capture: Capture): Promise<void> {
  try {
    await capture.abort({ signal: AbortSignal.timeout(CLEAN_UP_TIMEOUT_MS) });
  } catch {
    // The checkpoint carries our name: the next run of this consumer finds and removes it.
  }
}
