/**
 * Earlier generations that a target keeps of a replica, where it can. One is kept right after it was brought to the target, before
 * anybody else can have written there, and complete or not at all. The state knows nothing of them: the target has them.
 */
import { silentProgress, warningOf, type Progress, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { targetFaults, type KeptGeneration, type Target, type TargetHistory } from '../targets/index.ts';
import { readNote } from './rehearsal-note.ts';
import { replicaFaults } from './replicate-faults.ts';
import type { Replica, ReplicaGeneration } from './replicate-state.ts';
import {
  changedByOthers,
  checkHeld,
  settleTarget,
  specOf,
  type SeedDisk,
  type SeedOver,
} from './replicate-target.ts';

type Place = Pick<Replica, 'id' | 'folder' | 'state'>;

/**
 * What a cycle begins with: what an earlier one left is finished, and the target is looked at before anybody is asked for
 * anything. `REPLICA_BEGUN`, any `TARGET_` fault, and what {@link settleTarget} throws.
 */
export async function readyTarget(
  replica: Replica,
  target: Target,
  options: ReadyOptions,
): Promise<{ readonly resumed: boolean; readonly warnings: readonly Warning[] }> {
  const { keep, signal, progress = silentProgress } = options;
  refuseSeed(replica, options);
  progress.phase('what an earlier cycle left');
  await checkHistory(replica, target, keep);
  const resumed = await settleTarget(replica, target, options);
  const warnings = resumed ? await keepGeneration(replica, target, keep) : [];
  await checkHeld(replica, target, { signal });
  return { resumed, warnings };
}

export interface ReadyOptions extends CallOptions {
  readonly keep?: number | undefined;
  readonly over?: SeedOver | undefined;
  readonly seed?: readonly SeedDisk[] | undefined;
  readonly progress?: Progress | undefined;
  advance(bytes: number): void;
}

/** A replica that has a generation would not be compared with what the user thinks it is. */
function refuseSeed({ state: { generation } }: Place, { over, seed }: ReadyOptions): void {
  if (generation && (over === 'existing' || seed))
    throw replicaFaults.begun({ generation: generation.number });
}

/** Throws `TARGET_KEEPS_NONE`. */
export function historyOf({ id }: Pick<Place, 'id'>, target: Target): TargetHistory {
  if (!target.historyOf) throw targetFaults.keepsNone({ target: target.describe() });
  return target.historyOf(id);
}

/** Before anything is captured. Throws `TARGET_KEEPS_NONE`, `TARGET_NO_REFLINKS`. */
async function checkHistory(replica: Place, target: Target, keep: number | undefined): Promise<void> {
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
  return unlessNotKept(generation.number, async () => {
    const history = historyOf(replica, target);
    const kept = await withPresent(replica, history, generation);
    const note = await readNote(replica);
    for (const number of kept.slice(0, -keep)) if (number !== note?.generation) await history.drop(number);
  });
}

/** Before another one takes its place. None is dropped for it. */
export async function keepPresent(replica: Place, target: Target): Promise<Warning[]> {
  const { generation } = replica.state;
  if (!generation) return [];
  return unlessNotKept(generation.number, async () => {
    if ((await changedByOthers(replica, target)).size > 0) return;
    await withPresent(replica, historyOf(replica, target), generation);
  });
}

/** The generation stands whether or not it can be kept. */
async function unlessNotKept(generation: number, work: () => Promise<unknown>): Promise<Warning[]> {
  try {
    await work();
    return [];
  } catch (error) {
    const reason = (error as Error).message;
    return [warningOf(replicaFaults.notKept({ generation, reason }, { cause: error }))];
  }
}

/** The numbers of those that are kept then. */
async function withPresent(
  replica: Place,
  history: TargetHistory,
  generation: ReplicaGeneration,
): Promise<number[]> {
  const kept = (await history.list()).map(({ number }) => number);
  if (kept.includes(generation.number)) return kept;
  const specs = generation.disks.map((disk) => specOf(replica, disk));
  await history.keep(generation.number, specs, generation);
  return [...kept, generation.number];
}

/** Of one that was kept. Throws `REPLICA_NO_SUCH_GENERATION`, `TARGET_KEEPS_NONE`. */
export async function keptGeneration(
  replica: Place,
  target: Target,
  number: number,
): Promise<ReplicaGeneration> {
  const kept: readonly KeptGeneration[] = await historyOf(replica, target).list();
  const found = kept.find((each) => each.number === number);
  // A state that was made anew may have other disks.
  const about = found?.about as ReplicaGeneration | undefined;
  if (about?.disks.every(({ diskId }) => replica.state.disks.some((each) => each.diskId === diskId)))
    return about;
  const numbers = kept.map((each) => each.number).join(', ') || 'none';
  throw replicaFaults.noSuchGeneration({ vm: replica.state.vm.name, generation: number, numbers });
}
