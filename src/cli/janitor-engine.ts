/** The janitor over a host or a whole cluster, and the repositories that can be opened. */
import { isFault, warningOf } from '../base/index.ts';
import {
  findReplicas,
  janitor,
  removedReplicas,
  type JanitorReplicas,
  type JanitorRepository,
  type ReferencePointLedger,
} from '../flows/index.ts';
import type { Engine, JanitorCall, Task } from './engine.ts';
import { cliFaults } from './faults.ts';
import { openHost } from './open-host.ts';
import { openRepositoryOf } from './repository-engine.ts';

const MINUTE_MS = 60_000;

/** `replicasFolder`: where replicas have their state when the call names no other folder. */
export function createJanitorEngine(
  ledger: () => Promise<ReferencePointLedger>,
  replicasFolder: string,
): Pick<Engine, 'janitor'> {
  return {
    async *janitor(call, task) {
      const repositories = await openAll(call, task);
      const replicas = await replicasIn(call.stateFolder ?? replicasFolder, call);
      await using host = await openHost(call.host, task);
      for (const fault of await host.unreachable(task)) call.remark(warningOf(fault));
      const { dryRun, byHand, mergeMinutes } = call;
      const byHandHere = await ledger();
      const madeByHand = (vmId: string): Promise<string[]> => byHandHere.list(vmId, task);
      yield* janitor(
        { hyperv: host.hyperv, repositories, replicas, madeByHand },
        { dryRun, byHand, mergeTimeoutMs: mergeMinutes * MINUTE_MS, ...task },
      );
    },
  };
}

/** One that cannot be opened is told of: what it left cannot be known then, and stays. */
async function openAll({ repositories, remark }: JanitorCall, task: Task): Promise<JanitorRepository[]> {
  const opened: JanitorRepository[] = [];
  for (const access of repositories) {
    const name = access.name ?? 'that was named';
    try {
      opened.push({ name, repository: await openRepositoryOf(access, task) });
    } catch (error) {
      task.signal.throwIfAborted();
      if (!isFault(error)) throw error;
      remark(warningOf(cliFaults.repositoryNotAsked({ name, reason: error.message }, { cause: error })));
    }
  }
  return opened;
}

/** A state that cannot be read says nothing of what its replica has on the host: it counts as others', and stays. */
async function replicasIn(folder: string, { remark }: JanitorCall): Promise<JanitorReplicas> {
  const found = await findReplicas(folder);
  for (const { error } of found) if (isFault(error)) remark(warningOf(error));
  const replicas = found.flatMap(({ state, ...place }) => (state ? [{ ...place, state }] : []));
  return { folder, replicas, removed: await removedReplicas(folder) };
}
