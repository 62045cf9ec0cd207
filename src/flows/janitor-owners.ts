/**
 * Whose a checkpoint is, and whether a run that made it can still live: its repository's lock of the VM says so. A repository that
 * is not known here, and change tracking by hand, which holds no lock, cannot be asked.
 */
import { hasCode } from '../base/index.ts';
import {
  convertedEntries,
  isNamedByUs,
  orphanedPoints,
  ownerOf,
  removeLeftovers,
  sortedCheckpoints,
  type CaptureJournal,
} from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Checkpoint, HyperV, ReferencePoint, Vm } from '../hyperv/index.ts';
import type { BaselineRecord, Repository } from '../repository/index.ts';
import { BY_HAND } from './rct.ts';
import { repositoryJournal } from './repository-journal.ts';

/** A repository that may have left something. */
export interface JanitorRepository {
  readonly name: string;
  readonly repository: Repository;
}

export type CheckpointState =
  /** It was removed. */
  | 'removed'
  /** With a dry run: it would be. */
  | 'left-over'
  /** Its run lives, or did some moments ago. */
  | 'in-use'
  /** Made by hvlift; nobody here can say whether its run lives. */
  | 'owner-unknown'
  /** Another tool's, a user's. */
  | 'foreign';

export interface FoundCheckpoint {
  readonly instanceId: string;
  readonly name: string;
  readonly kind: Checkpoint['kind'];
  readonly createdAt?: string;
  readonly state: CheckpointState;
  /** The repository whose it is, when it is known. */
  readonly repository?: string;
}

/** What one repository left on one VM. */
export interface Leftovers {
  readonly owner: JanitorRepository;
  readonly checkpoints: readonly Checkpoint[];
  /** Reference points that newer ones of the same consumer replaced, or that a run made and did not record. */
  readonly referencePoints: readonly string[];
  /** A run announced a step and did not say that it was done. */
  readonly unfinished: boolean;
}

export interface VmOnHost {
  readonly hyperv: HyperV;
  readonly vm: Vm;
  readonly points: readonly ReferencePoint[];
}

export async function leftoversOf(
  { hyperv, vm, points }: VmOnHost,
  owner: JanitorRepository,
  options: CallOptions,
): Promise<Leftovers> {
  const journal = repositoryJournal(owner.repository);
  const entries = await journal.entries(vm.id);
  const { ours } = await sortedCheckpoints(hyperv, vm, journal.consumer, entries, options);
  const baselines = await owner.repository.baselines(vm.id, options);
  const converted = convertedEntries(entries, ours);
  const orphans = await orphanedPoints(hyperv, vm, converted, baselines, options);
  return {
    owner,
    checkpoints: ours,
    referencePoints: [
      ...orphans.points.map(({ instanceId }) => instanceId),
      ...supersededOf(baselines, points).map(({ referencePointId }) => referencePointId),
    ],
    unfinished: entries.length > 0,
  };
}

/** Newest first. An older one may be the only one that stands; as long as a newer one of its consumer does not, it stays. */
function supersededOf(
  baselines: readonly BaselineRecord[],
  points: readonly ReferencePoint[],
): BaselineRecord[] {
  const stands = new Set(points.map(({ instanceId }) => instanceId));
  const renewed = new Set<string | undefined>();
  return baselines.filter(({ consumer, referencePointId }) => {
    if (renewed.has(consumer)) return true;
    if (stands.has(referencePointId)) renewed.add(consumer);
    return false;
  });
}

export interface CleanUp {
  readonly state: 'removed' | 'in-use';
  readonly checkpoints: readonly string[];
  readonly referencePoints: readonly string[];
}

/** Under the lock of the VM, so that no run of the repository lives meanwhile. */
export async function cleanUp(
  { hyperv, vm, points }: VmOnHost,
  { owner }: Leftovers,
  options: CallOptions,
): Promise<CleanUp> {
  const { repository } = owner;
  try {
    await using _lock = await repository.lockVm(vm.id, options);
    const journal: CaptureJournal = repositoryJournal(repository);
    const baselines = await repository.baselines(vm.id, options);
    const removed = await removeLeftovers(hyperv, vm, journal, baselines, options);
    const referencePoints = [...removed.removedReferencePoints];
    for (const baseline of supersededOf(baselines, points)) {
      await hyperv.destroyReferencePoint({ instanceId: baseline.referencePointId, vmId: vm.id }, options);
      await repository.forgetBaseline(baseline, options);
      referencePoints.push(baseline.referencePointId);
    }
    return { state: 'removed', checkpoints: removed.removedCheckpoints, referencePoints };
  } catch (error) {
    if (!hasCode(error, 'REPO_VM_BUSY')) throw error;
    return { state: 'in-use', checkpoints: [], referencePoints: [] };
  }
}

/** What is known without taking the lock. */
export async function wouldBe({ owner }: Leftovers, vm: Vm, options: CallOptions): Promise<CheckpointState> {
  return (await owner.repository.vmHolder(vm.id, options)) === 'alive' ? 'in-use' : 'left-over';
}

/** Of a checkpoint that none of the repositories has. */
export function stateOfOthers(checkpoint: Checkpoint): CheckpointState {
  return checkpoint.kind === 'recovery' && isNamedByUs(checkpoint) ? 'owner-unknown' : 'foreign';
}

/** Made by `hvlift rct`, on whatever machine. */
export function isMadeByHand(checkpoint: Checkpoint): boolean {
  return checkpoint.kind === 'recovery' && isNamedByUs(checkpoint) && ownerOf(checkpoint.name) === BY_HAND;
}
