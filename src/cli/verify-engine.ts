/** The part of the engine that reads back what a repository holds, and mends its index. */
import { warningOf } from '../base/index.ts';
import { pointWarnings, suspectWarningsOfAll } from '../flows/index.ts';
import type { Repository, RestorePoint, VerifyProblem } from '../repository/index.ts';
import type { Engine, Task, VerifyRequest, VerifyRun, Warning } from './engine.ts';
import { cliFaults } from './faults.ts';
import { numberOf, openRepositoryOf, selectPoint } from './repository-engine.ts';

export const verifyEngine: Pick<Engine, 'verify' | 'repair'> = {
  verify,
  async repair({ repository: access, apply }, task) {
    const repository = await openRepositoryOf(access, task);
    const { damagedPacks, ...report } = await repository.rebuildIndex({ ...task, dryRun: !apply });
    const about = await repository.outdatedAbout(apply, task);
    const problems = damagedPacks.map(({ message }) => message);
    return { applied: apply, ...report, damagedPacks: problems, about, warnings: [] };
  },
};

async function verify(request: VerifyRequest, task: Task): Promise<VerifyRun> {
  const repository = await openRepositoryOf(request.repository, task);
  const point = request.point && (await selectPoint(repository, request.point, task));
  const { budget } = request;
  const started = performance.now();
  const report = await repository.verify({
    ...(point ? { point } : {}),
    ...(budget ? { budget } : {}),
    ...task,
  });
  const doubts = point
    ? await pointWarnings(repository, { point }, task)
    : await suspectWarningsOfAll(repository, task);
  const disks = new DiskNumbers(repository, task);
  return {
    points: report.points,
    objects: report.objects,
    readBytes: report.storedBytes,
    seconds: (performance.now() - started) / 1000,
    verified: report.state,
    damaged: await Promise.all(report.problems.map((problem) => damageOf(problem, disks))),
    warnings: [...doubts, ...unrecorded(report.unrecorded)],
  };
}

function unrecorded(fault: Error | undefined): Warning[] {
  return fault ? [warningOf(cliFaults.verificationUnrecorded({ reason: fault.message }))] : [];
}

async function damageOf(problem: VerifyProblem, disks: DiskNumbers): Promise<VerifyRun['damaged'][number]> {
  const affects = problem.affected.map(async (each) => ({
    pointId: each.pointId,
    vm: each.vmName,
    disk: await disks.of(each.pointId, each.diskId),
    extents: each.ranges,
  }));
  return {
    object: problem.objectId ?? problem.fault.code,
    problem: problem.fault.message,
    affects: await Promise.all(affects),
    settings: problem.settingsOf.map(({ pointId, vmName }) => ({ pointId, vm: vmName })),
  };
}

/** Damage may concern thousands of objects of the same points: each manifest is read once. */
class DiskNumbers {
  readonly #repository: Repository;
  readonly #task: Task;
  readonly #points = new Map<string, Promise<RestorePoint>>();

  constructor(repository: Repository, task: Task) {
    this.#repository = repository;
    this.#task = task;
  }

  async of(pointId: string, diskId: string): Promise<number> {
    let point = this.#points.get(pointId);
    if (!point) this.#points.set(pointId, (point = this.#repository.point(pointId, this.#task)));
    return numberOf(await point, diskId);
  }
}
