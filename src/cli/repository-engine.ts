/** The part of the engine that works on a repository: make it, list, restore. */
import { hasCode, isFault, type Fault } from '../base/index.ts';
import { chosenDisks, pointWarnings, restorePoint, streamPoint, SuspectPoints } from '../flows/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import {
  auditBound,
  createRepository,
  openRepository,
  type BaselineRecord,
  type PointDisk,
  type Repository,
  type RestorePoint,
} from '../repository/index.ts';
import type {
  Engine,
  PointSelector,
  PointSummary,
  RepositoryAccess,
  RepositoryStatus,
  Sizes,
  Task,
  Warning,
} from './engine.ts';
import { cliFaults } from './faults.ts';
import { openNewStore } from './new-repository.ts';
import { openStore, requestsBy } from './repository-store.ts';
import { Secret } from './secret.ts';
import { sumOf } from './sum-of-sizes.ts';

type RepositoryEngine = Pick<
  Engine,
  'createRepository' | 'repositoryStatus' | 'points' | 'restore' | 'restoreStream'
>;

export const repositoryEngine: RepositoryEngine = {
  async createRepository({ store: access, encryption }, { signal }) {
    const store = await openNewStore(access, { signal });
    const secret = encryption === 'none' ? encryption : { passphrase: encryption.passphrase.reveal() };
    const { repository, recoveryKey } = await createRepository(store, { encryption: secret, signal });
    const { encrypted } = repository.status();
    return {
      repositoryId: repository.id,
      encryption: encrypted ? 'aes-256-gcm' : 'none',
      ...(recoveryKey === undefined ? {} : { recoveryKey: new Secret(recoveryKey) }),
    };
  },
  repositoryStatus,
  async *points(access, filter, task) {
    const repository = await openRepositoryOf(access, task);
    const suspects = new SuspectPoints();
    for await (const point of repository.shownPoints(task)) {
      if (filter.vm === undefined || isVm(point, filter.vm)) yield summaryOf(point, suspects);
    }
  },
  async restore(request, task) {
    const repository = await openRepositoryOf(request.repository, task);
    const point = await selectPoint(repository, request.point, task);
    const started = performance.now();
    const doubts = await doubtsOf(repository, { point, disks: request.disks }, task);
    // Also before it begins: it may take hours, and another point may be the better one.
    for (const { message } of doubts) task.progress.note(message);
    const record = await restorePoint(repository, {
      point,
      folder: request.to,
      format: request.format,
      overwrite: request.overwrite,
      ...(request.disks.length > 0 ? { disks: request.disks } : {}),
      ...task,
    });
    return {
      pointId: record.pointId,
      vm: record.vm,
      consistency: point.consistency,
      disks: record.disks.map((disk) => ({
        number: numberOf(point, disk.diskId),
        id: disk.diskId,
        path: disk.path,
        virtualBytes: disk.virtualBytes,
        writtenBytes: disk.writtenBytes,
        seconds: disk.seconds,
      })),
      seconds: (performance.now() - started) / 1000,
      warnings: [...doubts, ...record.warnings],
    };
  },
  async *restoreStream(request, task) {
    const repository = await openRepositoryOf(request.repository, task);
    const point = await selectPoint(repository, request.point, task);
    const { format, disks, warn } = request;
    for (const doubt of await doubtsOf(repository, { point, disks }, task)) warn(doubt);
    yield* streamPoint(repository, { point, format, warn, ...(disks.length > 0 ? { disks } : {}), ...task });
  },
};

/** The key is asked for only when the repository turns out to be encrypted. */
export async function openRepositoryOf(access: RepositoryAccess, task: Task): Promise<Repository> {
  return unlock(await openStore(access, task), access, task);
}

function unlock(store: ObjectStore, access: RepositoryAccess, task: Task): Promise<Repository> {
  return openRepository(store, { signal: task.signal }).catch(async (error: unknown) => {
    if (!hasCode(error, 'REPO_PASSPHRASE_NEEDED')) throw error;
    const { kind, secret } = await access.unlock();
    const text = secret.reveal();
    const key = kind === 'passphrase' ? { passphrase: text } : { recoveryKey: text };
    return openRepository(store, { ...key, signal: task.signal });
  });
}

/** What is to be known before the disks are used; those that are named, or all. */
export async function doubtsOf(
  repository: Repository,
  { point, disks }: { readonly point: RestorePoint; readonly disks: readonly string[] },
  task: Task,
): Promise<Warning[]> {
  const diskIds = disks.length > 0 ? chosenDisks(point, disks).map(({ disk }) => disk.diskId) : undefined;
  return pointWarnings(repository, { point, ...(diskIds ? { diskIds } : {}) }, task);
}

export async function selectPoint(
  repository: Repository,
  selector: PointSelector,
  task: Task,
): Promise<RestorePoint> {
  if (selector.kind === 'id') return repository.point(selector.id, task);
  const ids = new Set<string>();
  const damage = await eachPoint(repository.shownPoints(task), (point) => {
    if (isVm(point, selector.vm)) ids.add(point.vm.id);
  });
  if (ids.size > 1) throw cliFaults.vmAmbiguous({ vm: selector.vm });
  const [vmId] = ids;
  // A damaged one may be all there is of the VM; when it is the latest of one that is known, it is read and told of below.
  if (vmId === undefined) throw damage ?? cliFaults.vmWithoutPoints({ vm: selector.vm });
  return repository.point('latest', { vmId, signal: task.signal });
}

/** Every point that can be read; what is thrown for a damaged one is returned, because the others are none the worse for it. */
export async function eachPoint(
  points: AsyncIterable<RestorePoint>,
  use: (point: RestorePoint) => void,
): Promise<Fault | undefined> {
  try {
    for await (const point of points) use(point);
    return undefined;
  } catch (error) {
    if (!isFault(error) || error.kind !== 'corrupt') throw error;
    return error;
  }
}

async function repositoryStatus(access: RepositoryAccess, task: Task): Promise<RepositoryStatus> {
  const store = await openStore(access, task);
  const repository = await unlock(store, access, task);
  const vms = new Map<string, RestorePoint[]>();
  const damage = await eachPoint(repository.shownPoints(task), (point) => {
    const points = vms.get(point.vm.id);
    if (points) points.push(point);
    else vms.set(point.vm.id, [point]);
  });
  let storedBytes = 0;
  for await (const { size } of store.list('', task)) storedBytes += size;
  const { id, formatVersion, encrypted } = repository.status();
  const requests = requestsBy(access);
  return {
    repositoryId: id,
    formatVersion,
    encryption: encrypted ? 'aes-256-gcm' : 'none',
    storedBytes,
    ...(requests ? { requests } : {}),
    verified: await repository.verified(task),
    vms: await Promise.all([...vms.values()].map((points) => vmStatus(repository, points, task))),
    warnings: [],
    ...(damage ? { error: damage } : {}),
  };
}

async function vmStatus(
  repository: Repository,
  points: readonly RestorePoint[],
  task: Task,
): Promise<RepositoryStatus['vms'][number]> {
  const newest = points[0]!;
  const baselines = await repository.baselines(newest.vm.id, task);
  const bounds = newest.disks.flatMap(({ audit }) => (audit && auditBound(audit)) ?? []);
  const suspects = new SuspectPoints();
  const suspectPoints = points.filter((point) => suspects.of(point) !== undefined).map(({ id }) => id);
  return {
    id: newest.vm.id,
    name: newest.vm.name,
    points: points.length,
    latest: { pointId: newest.id, createdAt: newest.created, consistency: newest.consistency },
    baselines: newestOfEach(baselines),
    ...(bounds.length > 0 ? { auditedWithin: Math.max(...bounds) } : {}),
    ...(suspectPoints.length > 0 ? { suspectPoints } : {}),
  };
}

/** They come newest first; an older one of the same consumer only waits to be destroyed. */
function newestOfEach(baselines: readonly BaselineRecord[]): RepositoryStatus['vms'][number]['baselines'] {
  const newest = new Map(baselines.toReversed().map((each) => [each.consumer, each]));
  return [...newest.values()].map(({ consumer, referencePointId }) => ({
    ...(consumer === undefined ? {} : { consumer }),
    referencePointId,
  }));
}

export function summaryOf(point: RestorePoint, suspects: SuspectPoints): PointSummary {
  const suspect = suspects.of(point)?.diskIds;
  const disks = point.disks.map((disk, index) => ({
    number: index + 1,
    id: disk.diskId,
    path: disk.path,
    kind: disk.kind,
    reason: disk.reason,
    sizes: sizesOf(disk),
    ...(disk.audit ? { auditedBytes: disk.audit.comparedBytes } : {}),
    ...(suspect?.has(disk.diskId) ? { suspect: true as const } : {}),
  }));
  return {
    id: point.id,
    vm: { id: point.vm.id, name: point.vm.name },
    createdAt: point.created,
    consistency: point.consistency,
    ...(point.consumer === undefined ? {} : { consumer: point.consumer }),
    ...(point.foldedFrom === undefined ? {} : { foldedFrom: point.foldedFrom }),
    disks,
    ...(point.leftOut
      ? { leftOut: point.leftOut.map(({ path, reason, why }) => ({ path, reason, why })) }
      : {}),
    sizes: sumOf(disks.map((disk) => disk.sizes)),
  };
}

function sizesOf(disk: PointDisk): Sizes {
  return {
    virtual: disk.size,
    allocated: disk.hostFileBytes ?? 0,
    read: disk.stats?.readBytes ?? 0,
    changed: disk.stats?.changedBytes ?? 0,
    new: disk.stats?.newRawBytes ?? 0,
    stored: disk.stats?.newStoredBytes ?? 0,
  };
}

export function isVm(point: RestorePoint, nameOrId: string): boolean {
  return point.vm.id === nameOrId.toLowerCase() || point.vm.name.toLowerCase() === nameOrId.toLowerCase();
}

export function numberOf(point: RestorePoint, diskId: string): number {
  return point.disks.findIndex((disk) => disk.diskId === diskId) + 1;
}
