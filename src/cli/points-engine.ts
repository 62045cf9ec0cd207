/** The part of the engine that looks into one restore point. */
import type { Fault } from '../base/index.ts';
import { normalise } from '../extents/index.ts';
import { explainPoint, readSettings, SuspectPoints } from '../flows/index.ts';
import type { Repository, RestorePoint } from '../repository/index.ts';
import type { CopyPointsRequest, Engine, PointDetails, PointSummary, Task, Warning } from './engine.ts';
import { cliFaults } from './faults.ts';
import { eachPoint, isVm, openRepositoryOf, selectPoint, summaryOf } from './repository-engine.ts';

export const pointsEngine: Pick<Engine, 'showPoint' | 'copyPoints'> = {
  async showPoint({ repository: access, point: selector, why }, task) {
    const repository = await openRepositoryOf(access, task);
    const point = await selectPoint(repository, selector, task);
    return {
      ...(await summaryWithSuspects(repository, point, task)),
      losses: await lossesOf(repository, point, task),
      host: point.vm.host,
      runId: point.runId,
      ...(point.parent === undefined ? {} : { parent: point.parent }),
      ...(await settingsOf(repository, point, task)),
      ...(why ? { why: await explainPoint(repository, { point, ...task }) } : {}),
    };
  },
  async *copyPoints(request, task) {
    const source = await openRepositoryOf(request.repository, task);
    const target = await openRepositoryOf(request.to, task);
    await target.describe(task);
    const { chosen, damage } = await chosenPoints(source, request, task);
    const byVm = Map.groupBy(chosen, (point) => point.vm.id);
    for (const points of byVm.values()) {
      const byId = new Map(points.map((point) => [point.id, point]));
      for await (const { pointId, stats } of target.copyPoints(source, points, task)) {
        const { vm, created } = byId.get(pointId)!;
        const { readBytes = 0, storedBytes = 0 } = stats ?? {};
        yield {
          pointId,
          vm: { id: vm.id, name: vm.name },
          createdAt: created,
          present: stats === undefined,
          readBytes,
          storedBytes,
        };
      }
    }
    if (damage) throw damage;
  },
};

/** Which disks are suspect is what later points say. */
async function summaryWithSuspects(
  repository: Repository,
  point: RestorePoint,
  { signal }: Task,
): Promise<PointSummary> {
  const suspects = new SuspectPoints();
  for await (const each of repository.points({ vmId: point.vm.id, signal })) {
    if (each.id === point.id) break;
    suspects.of(each);
  }
  return summaryOf(point, suspects);
}

async function chosenPoints(
  repository: Repository,
  { points: ids, vm }: CopyPointsRequest,
  task: Task,
): Promise<{ readonly chosen: readonly RestorePoint[]; readonly damage?: Fault | undefined }> {
  if (ids.length > 0) return { chosen: await Promise.all(ids.map((id) => repository.point(id, task))) };
  const chosen: RestorePoint[] = [];
  const damage = await eachPoint(repository.points(task), (point) => {
    if (vm === undefined || isVm(point, vm)) chosen.push(point);
  });
  if (chosen.length === 0 && vm !== undefined) throw damage ?? cliFaults.vmWithoutPoints({ vm });
  return { chosen, damage };
}

async function lossesOf(
  repository: Repository,
  point: RestorePoint,
  { signal }: Task,
): Promise<PointDetails['losses']> {
  const { disks } = await repository.lossesOf(point, { signal });
  return point.disks.flatMap(({ diskId }, index) => {
    const lost = disks.filter((each) => each.diskId === diskId);
    const extents = normalise(lost.flatMap(({ ranges }) => [...ranges]));
    return extents.length === 0 ? [] : [{ disk: index + 1, extents }];
  });
}

async function settingsOf(
  repository: Repository,
  point: RestorePoint,
  task: Task,
): Promise<Pick<PointDetails, 'configuration' | 'warnings'>> {
  const settings: Uint8Array | Warning = await readSettings(repository, point, task);
  if (!(settings instanceof Uint8Array)) return { warnings: [settings] };
  return { configuration: JSON.parse(Buffer.from(settings).toString()) as object, warnings: [] };
}
