/** What a backup goes by before it asks the host for anything: the consumer's baselines, and what the repository holds of the VM. */
import { isFault, silentProgress } from '../base/index.ts';
import type { CaptureRequest } from '../capture/index.ts';
import type { BaselineRecord, Repository, RestorePoint } from '../repository/index.ts';
import type { BackupRequest } from './backup.ts';
import { readablePoints, type ReadableBaseline } from './earlier-content.ts';
import { repositoryJournal } from './repository-journal.ts';

export interface BaselinesOfRun {
  /** Of the consumer, newest first. */
  readonly baselines: readonly ReadableBaseline[];
  readonly capture: CaptureRequest;
}

/** Reads the repository and changes nothing in it. */
export async function baselinesOfRun(
  repository: Repository,
  request: BackupRequest,
  runId: string,
): Promise<BaselinesOfRun> {
  const { vm, consumer, signal } = request;
  const recorded = await repository.baselines(vm, { signal });
  const own = recorded.filter((each) => each.consumer === consumer);
  const baselines = await readableBaselines(repository, own, signal);
  const earlier = baselines[0]?.point ?? (await newestPoint(repository, vm, signal));
  const capture: CaptureRequest = {
    vm,
    runId,
    consistency: request.consistency ?? 'application-preferred',
    baselines: baselines.map((each) => each.record),
    othersBaselines: recorded.filter((each) => !own.includes(each)),
    truncateLogs: request.truncateLogs ?? false,
    full: request.full ?? false,
    earlierDisks: earlier?.disks.map(({ diskId }) => diskId) ?? [],
    skipUnprotectable: request.skipUnprotectable ?? false,
    disks: request.disks ?? {},
    ...(request.chainFilesMax === undefined ? {} : { chainFilesMax: request.chainFilesMax }),
    journal: repositoryJournal(repository, consumer),
    progress: request.progress ?? silentProgress,
    signal,
  };
  return { baselines, capture };
}

/** Newest first. A baseline whose restore point cannot be read is no baseline: the disk is then compared (I8). */
async function readableBaselines(
  repository: Repository,
  records: readonly BaselineRecord[],
  signal: AbortSignal | undefined,
): Promise<ReadableBaseline[]> {
  const readable: ReadableBaseline[] = [];
  for (const record of records) {
    try {
      readable.push({ record, point: await repository.point(record.pointId, { signal }) });
    } catch (error) {
      if (!isFault(error) || error.kind === 'retry' || error.kind === 'bug') throw error;
    }
  }
  return readable;
}

async function newestPoint(
  repository: Repository,
  vmId: string,
  signal: AbortSignal | undefined,
): Promise<RestorePoint | undefined> {
  for await (const point of readablePoints(repository, vmId, { signal })) return point;
  return undefined;
}
