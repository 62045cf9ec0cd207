/**
 * What runs left on a host, found on every VM and removed, and what gathers there.
 *
 *   of each VM   checkpoints ─► whose, and does its run live? ─► removed, under the lock of its repository
 *                merges ─► watched to their end
 *                chains, AVHDX bytes, free space, what others left ─► shown, never touched
 *
 * Every run cleans up after the runs of its own repository or replica. The janitor is for VMs that are backed up no more, for several
 * owners at once, for what replicas left that were removed, and to see what holds the room of a volume.
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
  type Leftovers,
  type VmOnHost,
} from './janitor-leftovers.ts';
import { ownersOf, type JanitorReplicas, type JanitorRepository, type OwnerName } from './janitor-owners.ts';

export interface JanitorDeps {
  readonly hyperv: HyperV;
  /** Those that are known here. */
  readonly repositories: readonly JanitorRepository[];
  readonly replicas: JanitorReplicas;
  /** Reference points that were made by hand on this machine. */
  madeByHand(vmId: string): Promise<readonly string[]>;
}

export interface JanitorRequest extends CallOptions {
  /** Changes nothing: on the host, in the repositories, in the state of replicas. */
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
  /** Those that stay and whose owner is known: baselines of repositories and replicas, those made by hand here. */
  readonly marks: readonly OwnedPoint[];
  /** How many these are. */
  readonly ourReferencePoints: number;
  /** How many of other tools, of repositories and replicas elsewhere: nothing on a host tells them apart. */
  readonly otherReferencePoints: number;
  readonly merge: 'merged' | 'running';
  /** Files of the deepest chain of its disks; 1 without checkpoints. */
  readonly chainFiles: number;
  readonly avhdxFiles: number;
  readonly avhdxBytes: number;
  /** Of its disks; empty when the host does not tell. */
  readonly volumes: readonly HostVolume[];
}

export interface OwnedPoint {
  readonly instanceId: string;
  readonly owner: OwnerName | { readonly kind: 'by-hand' };
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
  const left = await leftovers(deps, onHost, request);
  const spared = new Set(left.flatMap(({ standing }) => standing));
  const states: States = new Map();
  const removed: string[] = [];
  for (const each of left)
    removed.push(...(await removeOrTell(onHost, each, { ...request, spared }, states)));
  if (request.byHand) await removeMadeByHand(onHost, checkpoints, request, states);
  const merge = await hyperv.waitForMerge(vm.id, {
    ...request,
    timeoutMs: request.dryRun ? 0 : request.mergeTimeoutMs,
  });
  const chains = await readDiskChains(hyperv, vm.id, request);
  const found = await withoutGone(
    onHost,
    checkpoints.map((each) => foundCheckpoint(each, states)),
    request,
  );
  warnings.push(...warningsOf(vm, found, merge, chains.problems));
  const standing = points.filter(({ instanceId }) => !removed.includes(instanceId));
  const ours = ownedPoints(standing, left, await deps.madeByHand(vm.id));
  return {
    checkpoints: found,
    removedReferencePoints: removed,
    marks: ours,
    ourReferencePoints: ours.length,
    otherReferencePoints: standing.length - ours.length,
    merge,
    chainFiles: chains.chainFiles,
    avhdxFiles: chains.avhdxFiles,
    avhdxBytes: chains.avhdxBytes,
    volumes: volumesUnder(chains.paths, await hyperv.volumes(vm.id, request)),
  };
}

/** What one owner recorded is never taken for what a run of another left. */
async function leftovers(
  deps: JanitorDeps,
  onHost: VmOnHost,
  request: JanitorRequest,
): Promise<readonly Leftovers[]> {
  const owners = ownersOf(onHost.vm.id, deps.repositories, deps.replicas);
  const views = await Promise.all(owners.map((owner) => owner.look(onHost.vm.id, request)));
  const spared = new Set(
    views.flatMap(({ baselines }) => baselines.map(({ referencePointId }) => referencePointId)),
  );
  return Promise.all(owners.map((owner) => leftoversOf(onHost, owner, { ...request, spared })));
}

type States = Map<string, Pick<FoundCheckpoint, 'state' | 'repository' | 'replica'>>;

/** The ids of the reference points that were removed, or would be. */
async function removeOrTell(
  onHost: VmOnHost,
  left: Leftovers,
  request: JanitorRequest & { readonly spared: ReadonlySet<string> },
  states: States,
): Promise<readonly string[]> {
  const { owner, checkpoints, referencePoints, unfinished } = left;
  if (checkpoints.length === 0 && referencePoints.length === 0 && !unfinished) return [];
  const whose = owner.kind === 'repository' ? { repository: owner.name } : { replica: owner.name };
  const tell = (state: CheckpointState): void => {
    for (const { instanceId } of checkpoints)
      if (!states.has(instanceId)) states.set(instanceId, { state, ...whose });
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

/** With their owners; a removed replica has none that stand, unless a run of its successor was at work. */
function ownedPoints(
  points: readonly ReferencePoint[],
  left: readonly Leftovers[],
  madeByHand: readonly string[],
): OwnedPoint[] {
  const owners = new Map<string, OwnedPoint['owner']>(madeByHand.map((id) => [id, { kind: 'by-hand' }]));
  for (const { owner, standing, referencePoints } of left)
    for (const id of [...standing, ...referencePoints])
      owners.set(id, { kind: owner.kind, name: owner.name });
  return points.flatMap(({ instanceId }) => {
    const owner = owners.get(instanceId);
    return owner ? [{ instanceId, owner }] : [];
  });
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

/** One of which nobody can say may be one that another janitor, or its own run, removed since it was listed: first it, then its note. */
async function withoutGone(
  { hyperv, vm }: VmOnHost,
  found: readonly FoundCheckpoint[],
  options: CallOptions,
): Promise<readonly FoundCheckpoint[]> {
  if (!found.some(({ state }) => state === 'owner-unknown')) return found;
  const standing = new Set((await hyperv.checkpoints(vm.id, options)).map(({ instanceId }) => instanceId));
  return found.filter(({ instanceId, state }) => state !== 'owner-unknown' || standing.has(instanceId));
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
