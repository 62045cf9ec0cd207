/** The part of the engine that lets restore points go, holds them, folds them, and collects what nobody needs. */
import { foldPoints, prunePoints } from '../flows/index.ts';
import type { Engine } from './engine.ts';
import { openRepositoryOf, selectPoint } from './repository-engine.ts';

export const retentionEngine: Pick<Engine, 'prune' | 'collect' | 'fold' | 'pinPoint' | 'unpinPoint'> = {
  async prune({ repository: access, ...request }, task) {
    return prunePoints(await openRepositoryOf(access, task), { ...request, ...task });
  },
  async collect({ repository: access, dryRun }, task) {
    return (await openRepositoryOf(access, task)).collect({ dryRun, ...task });
  },
  async fold({ repository: access, ...request }, task) {
    return foldPoints(await openRepositoryOf(access, task), { ...request, ...task });
  },
  async pinPoint({ repository: access, point: selector, reason }, task) {
    const repository = await openRepositoryOf(access, task);
    return repository.pin(await selectPoint(repository, selector, task), reason, task);
  },
  async unpinPoint({ repository: access, point: selector }, task) {
    const repository = await openRepositoryOf(access, task);
    const point = await selectPoint(repository, selector, task);
    return { pointId: point.id, wasHeld: await repository.unpin(point, task) };
  },
};
