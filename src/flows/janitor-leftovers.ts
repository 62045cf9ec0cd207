/** What one owner left on one VM: looked for without changing anything, and removed while the owner is held. */
import {
  convertedEntries,
  isNamedByUs,
  orphanedPoints,
  ownerOf,
  removeLeftovers,
  sortedCheckpoints,
} from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Checkpoint, HyperV, ReferencePoint, Vm } from '../hyperv/index.ts';
import type { JanitorOwner, OwnedBaseline, OwnerView } from './janitor-owners.ts';
import { BY_HAND } from './rct.ts';

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
  /** Id of the replica whose it is. */
  readonly replica?: string;
}

/** What one owner left on one VM. */
export interface Leftovers {
  readonly owner: JanitorOwner;
  readonly checkpoints: readonly Checkpoint[];
  /** Reference points that newer ones of the same consumer replaced, or that a run made and did not record. */
  readonly referencePoints: readonly string[];
  /** The reference points it has on the host and goes on from. */
  readonly standing: readonly string[];
  /** A run announced a step and did not say that it was done, or nobody goes on from what is recorded. */
  readonly unfinished: boolean;
}

export interface VmOnHost {
  readonly hyperv: HyperV;
  readonly vm: Vm;
  readonly points: readonly ReferencePoint[];
}

export async function leftoversOf(
  { hyperv, vm, points }: VmOnHost,
  owner: JanitorOwner,
  options: CallOptions & { readonly spared: ReadonlySet<string> },
): Promise<Leftovers> {
  const { journal, baselines } = await owner.look(vm.id, options);
  const entries = await journal.entries(vm.id);
  const { ours } = await sortedCheckpoints(hyperv, vm, journal.consumer, entries, options);
  const converted = convertedEntries(entries, ours);
  const orphans = await orphanedPoints(hyperv, vm, converted, baselines, options);
  const obsolete = obsoleteOf(owner, baselines, points).map(({ referencePointId }) => referencePointId);
  const onHost = new Set(points.map(({ instanceId }) => instanceId));
  return {
    owner,
    checkpoints: ours,
    referencePoints: [...orphans.found.map(({ point }) => point.instanceId), ...obsolete].filter((id) =>
      onHost.has(id),
    ),
    standing: baselines
      .map(({ referencePointId }) => referencePointId)
      .filter((id) => onHost.has(id) && !obsolete.includes(id)),
    unfinished: entries.length > 0 || obsolete.length > 0,
  };
}

/** Newest first. An older one may be the only one that stands; as long as a newer one of its consumer does not, it stays. */
function obsoleteOf(
  { isGone }: JanitorOwner,
  baselines: readonly OwnedBaseline[],
  points: readonly ReferencePoint[],
): readonly OwnedBaseline[] {
  if (isGone) return baselines;
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
  /** Names. */
  readonly checkpoints: readonly string[];
  readonly referencePoints: readonly string[];
}

/** While the owner is held, so that no run of it lives meanwhile. */
export async function cleanUp(
  { hyperv, vm, points }: VmOnHost,
  { owner }: Leftovers,
  options: CallOptions & { readonly spared: ReadonlySet<string> },
): Promise<CleanUp> {
  await using held = await owner.hold(vm.id, options);
  if (!held) return { state: 'in-use', checkpoints: [], referencePoints: [] };
  const view: OwnerView = held;
  const removed = await removeLeftovers(hyperv, vm, view.journal, view.baselines, options);
  const referencePoints = [...removed.removedReferencePoints];
  const onHost = new Set(points.map(({ instanceId }) => instanceId));
  for (const baseline of obsoleteOf(owner, view.baselines, points)) {
    const { referencePointId: instanceId } = baseline;
    await hyperv.destroyReferencePoint({ instanceId, vmId: vm.id }, options);
    await held.forget(baseline);
    if (onHost.has(instanceId)) referencePoints.push(instanceId);
  }
  await held.settled();
  return { state: 'removed', checkpoints: removed.removedCheckpoints, referencePoints };
}

/** What is known without holding the owner. */
export async function wouldBe({ owner }: Leftovers, vm: Vm, options: CallOptions): Promise<CheckpointState> {
  return (await owner.isAtWork(vm.id, options)) ? 'in-use' : 'left-over';
}

/** Of a checkpoint that none of the owners has. */
export function stateOfOthers(checkpoint: Checkpoint): CheckpointState {
  return checkpoint.kind === 'recovery' && isNamedByUs(checkpoint) ? 'owner-unknown' : 'foreign';
}

/** Made by `hvlift rct`, on whatever machine. */
export function isMadeByHand(checkpoint: Checkpoint): boolean {
  return checkpoint.kind === 'recovery' && isNamedByUs(checkpoint) && ownerOf(checkpoint.name) === BY_HAND;
}
