/**
 * A cycle through a repository: the VM becomes a restore point, and the replica becomes that restore point.
 *
 *   what an earlier cycle left ─► is the target there? ─► backup, by the repository's own baselines ─► the point onto the target
 *
 * The host is read once, what is stored is deduplicated, and every cycle can be rolled to. A cycle that dies after its backup
 * leaves a restore point more, and the next one goes from the point that the target holds to the newest.
 */
import { silentProgress, warningOf, type Warning } from '../base/index.ts';
import type { AuditBudget, Repository } from '../repository/index.ts';
import { backupVm, type BackupDeps } from './backup.ts';
import { refuseDuringCutover } from './cutover-state.ts';
import { noteCycle } from './replicate-commit.ts';
import { replicaFaults } from './replicate-faults.ts';
import { readyTarget } from './replicate-history.ts';
import { bringPoint } from './replicate-point.ts';
import { marksOf, Replica } from './replicate-state.ts';
import type { ReplicateRecord, ReplicateRequest } from './replicate.ts';
import type { BackupRecord } from './run-record.ts';

export interface ViaDeps extends BackupDeps {
  /** Destroys a reference point of the replica's own, which it had before it went through a repository. */
  destroyReferencePoint(
    which: { readonly instanceId: string; readonly vmId: string },
    options: { signal?: AbortSignal | undefined },
  ): Promise<void>;
}

export interface ViaRequest extends Omit<ReplicateRequest, 'seed'> {
  /** Whose baselines in the repository are used and renewed; default: its unnamed consumer's, as a backup does. */
  readonly consumer?: string | undefined;
  /** As of a backup; default: none, since it would cost every cycle a share of the disk. */
  readonly audit?: AuditBudget | undefined;
  /** Threads; default: one a processor. 0: none. */
  readonly workers?: number | undefined;
}

/** Throws what a backup throws, what `replicateVm` throws of the target, and what `bringPoint` throws. */
export async function replicateVia(deps: ViaDeps, request: ViaRequest): Promise<ReplicateRecord> {
  const { target, stateFolder, signal, progress = silentProgress } = request;
  const { id, name } = await deps.resolveVm(request.vm, { signal });
  const of = { vm: { id, name }, target: target.address };
  await using replica = await Replica.hold(stateFolder, of, { signal });
  await refuseDuringCutover(replica);
  const startedAt = new Date().toISOString();
  const started = performance.now();
  const { keep, over, workers } = request;
  const advance = (bytes: number): void => progress.advance(bytes);
  const apply = { keep, over, workers, signal, progress, advance };
  const ready = await readyTarget(replica, target, apply);
  const { repository } = deps;
  const backup = await backupVm(deps, { ...request, vm: id, audit: request.audit ?? 'off' });
  progress.phase('from the restore point');
  const point = await repository.point(backup.pointId, { signal });
  const made = await bringPoint(replica, target, { repository, point }, { ...apply, mayWait: true });
  await noteCycle(replica, made, (performance.now() - started) / 1000);
  const marks = await destroyMarks(deps, replica, { signal });
  return {
    type: 'replicate',
    runId: backup.runId,
    replica: replica.id,
    vm: backup.vm,
    target: target.address,
    generation: made.generation.number,
    startedAt,
    finishedAt: new Date().toISOString(),
    resumed: ready.resumed,
    consistency: backup.consistency,
    point: pointOf(repository, backup),
    disks: made.disks,
    leftOut: backup.leftOut,
    warnings: [...backup.warnings, ...ready.warnings, ...made.warnings, ...marks],
  };
}

function pointOf(repository: Repository, { pointId, disks }: BackupRecord): ReplicateRecord['point'] {
  const sum = (of: (disk: BackupRecord['disks'][number]) => number): number =>
    disks.reduce((total, disk) => total + of(disk), 0);
  return {
    id: pointId,
    repository: repository.status().location,
    readBytes: sum(({ readBytes }) => readBytes),
    changedBytes: sum(({ changedBytes }) => changedBytes),
    storedBytes: sum(({ storedBytes }) => storedBytes),
  };
}

/** Of the time before it went through a repository: nothing goes by them any more, and the generation stands without that. */
async function destroyMarks(
  deps: ViaDeps,
  replica: Replica,
  options: { signal?: AbortSignal | undefined },
): Promise<Warning[]> {
  const { vm } = replica.state;
  const marks = marksOf(replica.state);
  if (marks.length === 0) return [];
  try {
    for (const { referencePointId: instanceId } of marks)
      await deps.destroyReferencePoint({ instanceId, vmId: vm.id }, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    const { message: reason } = error as Error;
    return [warningOf(replicaFaults.markStays({ vm: vm.name, reason }, { cause: error }))];
  }
  await replica.save({ baselines: [], outdated: [] });
  return [];
}
