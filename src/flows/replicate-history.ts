/**
 * Earlier generations that a target keeps of a replica, where it can. One is kept right after it was brought to the target, before
 * anybody else can have written there, and complete or not at all. The state knows nothing of them: the target has them.
 */
import { warningOf, type Warning } from '../base/index.ts';
import { targetFaults, type KeptGeneration, type Target, type TargetHistory } from '../targets/index.ts';
import { readNote } from './rehearsal-note.ts';
import { replicaFaults } from './replicate-faults.ts';
import type { Replica, ReplicaGeneration } from './replicate-state.ts';
import { specOf } from './replicate-target.ts';

type Place = Pick<Replica, 'id' | 'folder' | 'state'>;

/** Throws `TARGET_KEEPS_NONE`. */
export function historyOf({ id }: Pick<Place, 'id'>, target: Target): TargetHistory {
  if (!target.historyOf) throw targetFaults.keepsNone({ target: target.describe() });
  return target.historyOf(id);
}

/** Before anything is captured. Throws `TARGET_KEEPS_NONE`, `TARGET_NO_REFLINKS`. */
export async function checkHistory(replica: Place, target: Target, keep: number | undefined): Promise<void> {
  if (keep !== undefined) await historyOf(replica, target).check();
}

/**
 * Keeps the generation that the target holds now, and no more than `keep`. The generation stands whether or not that can be done,
 * so what fails is a warning.
 */
export async function keepGeneration(
  replica: Place,
  target: Target,
  keep: number | undefined,
): Promise<Warning[]> {
  const { phase, generation } = replica.state;
  if (keep === undefined || phase !== 'idle' || !generation) return [];
  const history = historyOf(replica, target);
  try {
    const kept = (await history.list()).map(({ number }) => number);
    if (!kept.includes(generation.number)) {
      await history.keep(
        generation.number,
        generation.disks.map((disk) => specOf(replica, disk)),
        generation,
      );
      kept.push(generation.number);
    }
    const note = await readNote(replica);
    for (const number of kept.slice(0, -keep)) if (number !== note?.generation) await history.drop(number);
    return [];
  } catch (error) {
    const reason = (error as Error).message;
    return [warningOf(replicaFaults.notKept({ generation: generation.number, reason }, { cause: error }))];
  }
}

/** Of one that was kept. Throws `REPLICA_NO_SUCH_GENERATION`, `TARGET_KEEPS_NONE`. */
export async function keptGeneration(
  replica: Place,
  target: Target,
  number: number,
): Promise<ReplicaGeneration> {
  const kept: readonly KeptGeneration[] = await historyOf(replica, target).list();
  const found = kept.find((each) => each.number === number);
  if (found) return found.about as ReplicaGeneration;
  const numbers = kept.map((each) => each.number).join(', ') || 'none';
  throw replicaFaults.noSuchGeneration({ vm: replica.state.vm.name, generation: number, numbers });
}
