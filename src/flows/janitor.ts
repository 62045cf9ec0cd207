/**
 * What runs left on a host, found on every VM and removed, and what gathers there.
 *
 *   of each VM   checkpoints ─► whose, and does its run live? ─► removed, under the lock of its repository
 *                merges ─► watched to their end
 *                chains, AVHDX bytes, free space, what others left ─► shown, never touched
 *
 * Every run cleans up after the runs of its own repository. The janitor is for VMs that are backed up no more, for several
 * repositories at once, and to see what holds the room of a volume.
 */
import { isFault, mapOrdered, warningOf, type Progress, type Warning } from '../base/index.ts';
import { volumesUnder } from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Checkpoint, HostVolume, HyperV, ReferencePoint, Vm } from '../hyperv/index.ts';
import { readDiskChains } from './disk-chains.ts';
import { flowFaults } from './faults.ts';
import {
  cleanUp,
  isMadeByHand,
  leftoversOf,
  stateOfOthers,
  wouldBe,
  type CheckpointState,
  type FoundCheckpoint,
  type JanitorRepository,
  type Leftovers,
  type VmOnHost,
} from './janitor-owners.ts';

export interface JanitorDeps {
  readonly hyperv: HyperV;
  /** Those that are known here. */
  readonly repositories: readonly JanitorRepository[];
  /** Reference points that were made by hand on this machine. */
  madeByHand(vmId: string): Promise<readonly string[]>;
}

export interface JanitorRequest extends CallOptions {
  /** Changes nothing, on the host and in the repositories. */
  readonly dryRun: boolean;
  /** Also removes checkpoints of `hvlift rct`, of which no lock tells whether they are in use. */
  readonly byHand: boolean;
  /** How long the merges of one VM are waited for. */
  readonly mergeTimeoutMs: number;
  readonly progress: Progress;
}

export interface JanitorVm {
  readonly vm: { readonly id: string; readonly name: string };
  /** Absent when the VM could not be looked at. */
  readonly found?: VmFindings;
  readonly warnings: readonly Warning[];
  /** As thrown. */
  readonly error?: unknown;
}

export interface VmFindings {
  readonly checkpoints: readonly FoundCheckpoint[];
  /** Ids of those that were removed, or would be with a dry run. */
  readonly removedReferencePoints: readonly string[];
  /** Baselines of the repositories, and those made by hand here. */
  readonly ourReferencePoints: number;
  /** Of other tools, of other repositories: nothing on a host tells them apart. */
  readonly otherReferencePoints: number;
  readonly merge: 'merged' | 'running';
  /** Files of the deepest chain of its disks; 1 without checkpoints. */
  readonly chainFiles: number;
  readonly avhdxFiles: number;
  readonly avhdxBytes: number;
  /** Of its disks; empty when the host does not tell. */
  readonly volumes: readonly HostVolume[];
}

/** VMs at once: each waits for its merges most of the time. */
const VMS_AT_ONCE = 4;

/** As they end, in the order of the host. What goes wrong with one VM is in its findings. */
export async function* janitor(deps: JanitorDeps, request: JanitorRequest): AsyncGenerator<JanitorVm> {
  const vms = await deps.hyperv.vms(request);
  yield* mapOrdered(vms, VMS_AT_ONCE, (vm) => lookAfter(deps, vm, request));
}

async function lookAfter(deps: JanitorDeps, vm: Vm, request: JanitorRequest): Promise<JanitorVm> {
  const name = { id: vm.id, name: vm.name };
  const warnings: Warning[] = [];
  try {
    const found = await tidied(deps, vm, request, warnings);
    return { vm: name, found, warnings };
  } catch (error) {
    request.signal?.throwIfAborted();
    if (!isFault(error)) throw error;
    return { vm: name, warnings, error };
  }
}

async function tidied(
  deps: JanitorDeps,
  vm: Vm,
  request: JanitorRequest,
  warnings: Warning[],
): Promise<VmFindings> {
  const hyperv = deps.hyperv.forVm(vm.id);
  const checkpoints = await hyperv.checkpoints(vm.id, request);
  const points = await hyperv.referencePoints(vm.id, request);
  const onHost: VmOnHost = { hyperv, vm, points };
  const left = await Promise.all(deps.repositories.map((owner) => leftoversOf(onHost, owner, request)));
  const states = new Map<string, Pick<FoundCheckpoint, 'state' | 'repository'>>();
  const removed: string[] = [];
  for (const each of left) removed.push(...(await removeOrTell(onHost, each, request, states)));
  if (request.byHand) await removeMadeByHand(onHost, checkpoints, request, states);
  const merge = await hyperv.waitForMerge(vm.id, {
    ...request,
    timeoutMs: request.dryRun ? 0 : request.mergeTimeoutMs,
  });
  const chains = await readDiskChains(hyperv, vm.id, request);
  const found = checkpoints.map((each) => foundCheckpoint(each, states));
  warnings.push(...warningsOf(vm, found, merge, chains.problems));
  return {
    checkpoints: found,
    removedReferencePoints: removed,
    ...(await countPoints(deps, vm, { points, removed }, request)),
    merge,
    chainFiles: chains.chainFiles,
    avhdxFiles: chains.avhdxFiles,
    avhdxBytes: chains.avhdxBytes,
    volumes: volumesUnder(chains.paths, await hyperv.volumes(vm.id, request)),
  };
}

type States = Map<string, Pick<FoundCheckpoint, 'state' | 'repository'>>;

/** The ids of the reference points that were removed, or would be. */
async function removeOrTell(
  onHost: VmOnHost,
  left: Leftovers,
  request: JanitorRequest,
  states: States,
): Promise<readonly string[]> {
  const { owner, checkpoints, referencePoints, unfinished } = left;
  if (checkpoints.length === 0 && referencePoints.length === 0 && !unfinished) return [];
  const tell = (state: CheckpointState): void => {
    for (const { instanceId } of checkpoints) states.set(instanceId, { state, repository: owner.name });
  };
  if (request.dryRun) {
    const state = await wouldBe(left, onHost.vm, request);
    tell(state);
    return state === 'in-use' ? [] : referencePoints;
  }
  const done = await cleanUp(onHost, left, request);
  tell(done.state);
  for (const name of done.checkpoints) request.progress.note(`${onHost.vm.name}: removed ${name}`);
  return done.referencePoints;
}

async function removeMadeByHand(
  { hyperv }: VmOnHost,
  checkpoints: readonly Checkpoint[],
  request: JanitorRequest,
  states: States,
): Promise<void> {
  for (const checkpoint of checkpoints.filter(isMadeByHand)) {
    if (!request.dryRun) await hyperv.destroyCheckpoint(checkpoint, request);
    states.set(checkpoint.instanceId, { state: request.dryRun ? 'left-over' : 'removed' });
  }
}

function foundCheckpoint(checkpoint: Checkpoint, states: States): FoundCheckpoint {
  const { instanceId, name, kind, createdAt } = checkpoint;
  return {
    instanceId,
    name,
    kind,
    ...(createdAt ? { createdAt: createdAt.toISOString() } : {}),
    ...(states.get(instanceId) ?? { state: stateOfOthers(checkpoint) }),
  };
}

async function countPoints(
  deps: JanitorDeps,
  vm: Vm,
  { points, removed }: { points: readonly ReferencePoint[]; removed: readonly string[] },
  request: JanitorRequest,
): Promise<Pick<VmFindings, 'ourReferencePoints' | 'otherReferencePoints'>> {
  const known = new Set(await deps.madeByHand(vm.id));
  for (const { repository } of deps.repositories)
    for (const { referencePointId } of await repository.baselines(vm.id, request))
      known.add(referencePointId);
  const standing = points.filter(({ instanceId }) => !removed.includes(instanceId));
  const ours = standing.filter(({ instanceId }) => known.has(instanceId)).length;
  return { ourReferencePoints: ours, otherReferencePoints: standing.length - ours };
}

function warningsOf(
  vm: Vm,
  checkpoints: readonly FoundCheckpoint[],
  merge: VmFindings['merge'],
  problems: readonly string[],
): Warning[] {
  const unknown = checkpoints.filter(({ state }) => state === 'owner-unknown').map(({ name }) => name);
  return [
    ...unknown.map((checkpoint) => flowFaults.ownerUnknown({ vm: vm.name, checkpoint })),
    ...(merge === 'running' ? [flowFaults.mergePending({ vm: vm.name })] : []),
    ...problems.map((reason) => flowFaults.chainUnread({ vm: vm.name, reason })),
  ].map(warningOf);
}
