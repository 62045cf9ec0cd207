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
  hasCode,
  isFault,
  newGuid,
  silentProgress,
  warningOf,
  type Fault,
  type FaultFactory,
  type Progress,
  type Warning,
} from '../base/index.ts';
import type { Capture, CapturedDisk, ConsistencyPolicy, SealedReference, Source } from '../capture/index.ts';
import { CountingDisk } from '../disk/index.ts';
import type { BaselineRecord, Repository, RestorePoint, WriteSession } from '../repository/index.ts';
import { flowFaults } from './faults.ts';
import { repositoryJournal } from './repository-journal.ts';
import type { BackupRecord, DiskBackupRecord } from './run-record.ts';

export interface BackupRequest {
  readonly vm: string;
  /** Default: a new one. A caller that keeps records of failed runs too names the run itself. */
  readonly runId?: string;
  readonly full?: boolean;
  readonly consistency?: ConsistencyPolicy;
  readonly skipUnprotectable?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: Progress;
  /** How long to wait for the host to merge the checkpoint before the run ends with a warning. */
  readonly mergeTimeoutMs?: number;
  /** Threads that hash, compress and seal; default: one a processor. 0: none, which is quicker for disks of a few MiB. */
  readonly workers?: number;
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
    if (!(await hasMoved(deps.source, request))) throw error;
    request.progress?.note(`the VM moved to another node (${messageOf(error)}); beginning anew there`);
    return await runBackup(deps, request);
  }
}

/** False when that cannot be found out: the first error is the one to report. */
async function hasMoved(source: Source, { vm, signal }: BackupRequest): Promise<boolean> {
  if (!source.moved || signal?.aborted) return false;
  return source.moved(vm, { signal }).catch(() => false);
}

async function runBackup(deps: BackupDeps, request: BackupRequest): Promise<BackupRecord> {
  const { repository, source } = deps;
  const { signal } = request;
  const progress = request.progress ?? silentProgress;
  const runId = request.runId ?? newGuid();
  const startedAt = new Date().toISOString();
  const baselines = await readableBaselines(repository, request.vm, signal);
  const capture = await source.open({
    vm: request.vm,
    runId,
    consistency: request.consistency ?? 'application-preferred',
    baselines: baselines.map((each) => each.record),
    full: request.full ?? false,
    skipUnprotectable: request.skipUnprotectable ?? false,
    journal: repositoryJournal(repository),
    progress,
    signal,
  });
  const warnings = [...capture.warnings];
  try {
    const { point, disks } = await storeDisks(repository, capture, baselines, {
      runId,
      progress,
      signal,
      workers: request.workers,
    });
    warnings.push(...(await finish(deps, request, capture, point)));
    return {
      type: 'backup',
      runId,
      vm: { id: capture.vm.id, name: capture.vm.name, host: capture.vm.host },
      startedAt,
      finishedAt: new Date().toISOString(),
      outcome: warnings.length > 0 ? 'warnings' : 'ok',
      pointId: point.id,
      consistency: capture.consistency,
      disks,
      warnings,
    };
  } catch (error) {
    await abortQuietly(capture);
    throw error;
  }
}

interface ReadableBaseline {
  readonly record: BaselineRecord;
  readonly point: RestorePoint;
}

/** Newest first. A baseline whose restore point cannot be read is no baseline: the disk is then read in full (I8). */
async function readableBaselines(
  repository: Repository,
  vmId: string,
  signal: AbortSignal | undefined,
): Promise<ReadableBaseline[]> {
  const readable: ReadableBaseline[] = [];
  for (const record of await repository.baselines(vmId, { signal })) {
    try {
      readable.push({ record, point: await repository.point(record.pointId, { signal }) });
    } catch (error) {
      if (!isFault(error) || error.kind === 'retry' || error.kind === 'bug') throw error;
    }
  }
  return readable;
}

interface StoreContext {
  readonly runId: string;
  readonly progress: Progress;
  readonly signal: AbortSignal | undefined;
  readonly workers: number | undefined;
}

async function storeDisks(
  repository: Repository,
  capture: Capture,
  baselines: readonly ReadableBaseline[],
  context: StoreContext,
): Promise<{ point: RestorePoint; disks: DiskBackupRecord[] }> {
  const { signal, workers } = context;
  const session = await repository.startSession({ signal, ...(workers === undefined ? {} : { workers }) });
  try {
    const stored: StoredDisk[] = [];
    for (const disk of capture.disks) stored.push(await storeDisk(session, disk, baselines, context));
    const configuration = await session.putBlob(Buffer.from(JSON.stringify(capture.configuration)));
    context.progress.phase('commit');
    const point = await session.commit({
      runId: context.runId,
      vm: { ...capture.vm, configuration },
      consistency: capture.consistency,
      disks: stored.map((each) => each.draft),
    });
    return { point, disks: stored.map((each) => each.record) };
  } catch (error) {
    await session.abort();
    throw error;
  }
}

interface StoredDisk {
  readonly record: DiskBackupRecord;
  readonly draft: Parameters<WriteSession['commit']>[0]['disks'][number];
}

/** A delta whose change query fails is read again in full from the same frozen disk: what was stored already is not stored twice. */
async function storeDisk(
  session: WriteSession,
  disk: CapturedDisk,
  baselines: readonly ReadableBaseline[],
  context: StoreContext,
): Promise<StoredDisk> {
  try {
    return await ingest(session, disk, baselines, context);
  } catch (error) {
    if (disk.kind === 'full' || !hasCode(error, 'HYPERV_BASELINE_LOST')) throw error;
    context.progress.note(
      `${disk.path}: the host could not tell what changed (${error.message}); reading it in full`,
    );
    return ingest(session, disk.asFull('change-query-failed'), baselines, context);
  }
}

async function ingest(
  session: WriteSession,
  disk: CapturedDisk,
  baselines: readonly ReadableBaseline[],
  context: StoreContext,
): Promise<StoredDisk> {
  const started = performance.now();
  const reader = new CountingDisk(disk.reader);
  context.progress.phase(
    `${disk.kind} ${fileName(disk.path)}`,
    disk.kind === 'full' ? disk.hostFileBytes : undefined,
  );
  const base = baseRoot(disk, baselines);
  const { root, stats } = await session.ingestDisk({
    reader,
    extents: disk.extents,
    size: disk.size,
    ...(base ? { base } : {}),
    progress: context.progress,
    signal: context.signal,
  });
  const record: DiskBackupRecord = {
    diskId: disk.id,
    path: disk.path,
    kind: disk.kind,
    reason: disk.reason,
    virtualBytes: disk.size,
    allocatedBytes: disk.hostFileBytes,
    readBytes: reader.stats.readBytes,
    changedBytes: stats.changedBytes,
    newBytes: stats.newRawBytes,
    storedBytes: stats.newStoredBytes,
    seconds: (performance.now() - started) / 1000,
  };
  return { record, draft: { ...draftOf(disk, root), hostFileBytes: disk.hostFileBytes, stats } };
}

/** The map a delta is laid over: the restore point that belongs to the very baseline the changes were asked against. */
function baseRoot(disk: CapturedDisk, baselines: readonly ReadableBaseline[]) {
  if (disk.kind === 'full') return undefined;
  const found = baselines.find((each) => each.record.referencePointId === disk.baseline!.referencePointId);
  return found?.point.disks.find((each) => each.diskId === disk.id)?.root;
}

function draftOf(disk: CapturedDisk, root: StoredDisk['draft']['root']): StoredDisk['draft'] {
  return {
    diskId: disk.id,
    attachment: disk.attachment,
    path: disk.chain.at(-1) ?? disk.path,
    size: disk.size,
    logicalSectorSize: disk.logicalSectorSize,
    physicalSectorSize: disk.physicalSectorSize,
    root,
    kind: disk.kind,
    reason: disk.reason,
  };
}

/** Everything after the commit. The restore point stands, so what fails here is a warning about the next run. */
async function finish(
  deps: BackupDeps,
  request: BackupRequest,
  capture: Capture,
  point: RestorePoint,
): Promise<Warning[]> {
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
        adopt(deps.repository, capture, point, sealed, options),
      )
    : [];
  const confirmed = await asWarning(flowFaults.checkpointNotConfirmed, point, () =>
    confirmGone(capture, request),
  );
  return [...adopted, ...confirmed];
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

/** Records the new baseline, then destroys the reference points of the older ones (I4, I5). */
async function adopt(
  repository: Repository,
  capture: Capture,
  point: RestorePoint,
  sealed: SealedReference,
  options: { signal: AbortSignal | undefined },
): Promise<Fault[]> {
  const older = await repository.baselines(capture.vm.id, options);
  await repository.recordBaseline({
    pointId: point.id,
    vmId: capture.vm.id,
    referencePointId: sealed.referencePointId,
    consistency: sealed.consistency,
    disks: sealed.disks,
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

function fileName(hostPath: string): string {
  return hostPath.split(/[\\/]/).at(-1) ?? hostPath;
}
