/** Checkpoints and reference points: made, turned into each other, removed. The work of the jobs of the snapshot services. */
import { newGuid } from '../../src/base/index.ts';
import type { HostCore } from './core.ts';
import { LabFailure } from './failure.ts';
import type {
  CheckpointState,
  Consistency,
  ReferencePointState,
  SealState,
  SealedDisk,
} from './host-state.ts';
import type { Machine } from './machine.ts';
import { RETURN } from './return-codes.ts';
import type { VirtualDisk } from './virtual-disk.ts';

export interface CheckpointRequest {
  readonly kind: CheckpointState['kind'];
  readonly consistency: Consistency;
  /** Pass-through disks are left out instead of failing the request. */
  readonly skipPhysicalDisks: boolean;
}

export async function createCheckpoint(
  core: HostCore,
  machine: Machine,
  request: CheckpointRequest,
): Promise<CheckpointState> {
  refuseUnlessPossible(machine, request);
  const thaw = await freezeGuest(core, machine, request.consistency);
  try {
    return await machine.lock.run(() => sealAll(core, machine, request));
  } finally {
    await thaw?.();
  }
}

/** One instant of all disks: the caller holds the lock. */
async function sealAll(
  core: HostCore,
  machine: Machine,
  request: CheckpointRequest,
): Promise<CheckpointState> {
  refuseUnlessPossible(machine, request);
  const asksGuest = request.consistency === 1 && machine.isRunning;
  if (asksGuest) await machine.flushCache();
  const id = newGuid().toUpperCase();
  const disks = machine.disks();
  const sealed: { disk: VirtualDisk; sealed: SealedDisk; leaf: string }[] = [];
  for (const disk of disks) sealed.push(await sealDisk(disk, id));
  // No await from here to the save: all disks get their new leaf in one state, or none.
  for (const { disk, sealed: at, leaf } of sealed) disk.freeze(at.seal, leaf);
  const checkpoint = checkpointOf(
    core,
    machine,
    id,
    request,
    sealed.map((one) => one.sealed),
  );
  machine.state.checkpoints.push(checkpoint);
  core.state.seals.push(sealOf(core, machine, checkpoint));
  await core.save();
  return checkpoint;
}

function refuseUnlessPossible(machine: Machine, request: CheckpointRequest): void {
  const { state } = machine;
  if (request.kind === 'recovery' && state.checkpoints.some(({ kind }) => kind === 'recovery')) {
    throw new LabFailure(RETURN.failed, `${state.name} already has a recovery checkpoint (0x80070020)`);
  }
  if (!request.skipPhysicalDisks && state.drives.some((drive) => drive.kind === 'physical')) {
    throw new LabFailure(RETURN.failed, `${state.name} has a physical disk, which cannot be checkpointed`);
  }
}

/** VMMS asks the guest's VSS service; one that does not answer is waited for. Returns what lets a real guest go on. */
async function freezeGuest(
  core: HostCore,
  machine: Machine,
  consistency: Consistency,
): Promise<(() => Promise<void>) | undefined> {
  const { vss } = machine;
  const { power } = machine.state;
  if (consistency !== 1 || power === 'off') return undefined;
  if (power !== 'running')
    throw new LabFailure(RETURN.failed, 'the guest cannot be asked to freeze in this state');
  if (vss === 'timeout') await core.clock.sleep(core.options.vssTimeoutMs);
  if (vss !== 'ok') throw new LabFailure(RETURN.failed, `VSS in the guest: ${vss} (0x80004005)`);
  return machine.program?.freeze(core.options.vssTimeoutMs);
}

async function sealDisk(
  disk: VirtualDisk,
  sealId: string,
): Promise<{ disk: VirtualDisk; sealed: SealedDisk; leaf: string }> {
  const seal = await disk.seal(sealId);
  const leaf = newLeafOf(disk);
  await disk.branch(leaf);
  const sealed = { diskId: disk.state.id, path: disk.leaf.path, seal, rctId: disk.tracker.idOf(seal) };
  return { disk, sealed, leaf };
}

/** As Hyper-V names it. */
export function newLeafOf(disk: VirtualDisk): string {
  return `${disk.state.files[0]!.path.replace(/\.a?vhdx$/i, '')}_${newGuid().toUpperCase()}.avhdx`;
}

function checkpointOf(
  core: HostCore,
  machine: Machine,
  id: string,
  request: CheckpointRequest,
  disks: readonly SealedDisk[],
): CheckpointState {
  const now = new Date(core.clock.now());
  const parent = machine.state.checkpoints.at(-1)?.id;
  return {
    id,
    kind: request.kind,
    name: `${machine.state.name} - (${now.toISOString().slice(0, 10)} - ${now.toISOString().slice(11, 19)})`,
    createdAt: now.getTime(),
    ...(parent === undefined ? {} : { parent }),
    consistency: request.consistency,
    drives: machine.state.drives,
    disks,
  };
}

function sealOf(core: HostCore, machine: Machine, checkpoint: CheckpointState): SealState {
  const clean = checkpoint.consistency === 1 || machine.state.power === 'off';
  return {
    id: checkpoint.id,
    vmId: machine.state.id,
    kind: checkpoint.kind,
    at: checkpoint.createdAt,
    consistency: clean ? 'application' : 'crash',
    disks: checkpoint.disks.map(({ diskId, rctId }) => ({
      diskId,
      size: core.disks.get(diskId)!.state.size,
      rctId,
    })),
  };
}

/** Removes a checkpoint, or with `tree` also those made after it on top of it. Its AVHDX files merge later. */
export async function destroyCheckpoint(
  core: HostCore,
  machine: Machine,
  checkpointId: string,
  options: { tree: boolean },
): Promise<void> {
  const gone = requireCheckpoint(machine, checkpointId);
  const doomed = new Set([gone.id]);
  if (options.tree) {
    for (const { id, parent } of machine.state.checkpoints) if (parent && doomed.has(parent)) doomed.add(id);
  }
  await removeCheckpoints(core, machine, doomed);
}

/** The reference point keeps the id sealed when the checkpoint was made, not when it was converted. */
export async function convertToReferencePoint(
  core: HostCore,
  machine: Machine,
  checkpointId: string,
): Promise<ReferencePointState> {
  const checkpoint = requireCheckpoint(machine, checkpointId);
  if (checkpoint.kind !== 'recovery') {
    throw new LabFailure(RETURN.failed, 'only a recovery checkpoint can be converted');
  }
  const point: ReferencePointState = {
    id: newGuid().toUpperCase(),
    createdAt: core.clock.now(),
    consistency: checkpoint.consistency,
    disks: checkpoint.disks.map(({ diskId, seal, rctId }) => {
      const { controller, slot } = checkpoint.drives.find((drive) => drive.diskId === diskId)!;
      return { diskId, controller, slot, seal, rctId };
    }),
  };
  machine.state.referencePoints.push(point);
  await removeCheckpoints(core, machine, new Set([checkpoint.id]));
  return point;
}

export async function destroyReferencePoint(
  core: HostCore,
  machine: Machine,
  pointId: string,
): Promise<void> {
  const points = machine.state.referencePoints;
  if (!points.some(({ id }) => id === pointId)) {
    throw new LabFailure(RETURN.failed, 'the reference point is gone already');
  }
  machine.state.referencePoints = points.filter(({ id }) => id !== pointId);
  await core.save();
  await core.retainSeals(machine.disks());
}

function requireCheckpoint(machine: Machine, id: string): CheckpointState {
  const checkpoint = machine.state.checkpoints.find((one) => one.id === id);
  if (!checkpoint) throw new LabFailure(RETURN.failed, 'the checkpoint is gone already');
  return checkpoint;
}

async function removeCheckpoints(
  core: HostCore,
  machine: Machine,
  doomed: ReadonlySet<string>,
): Promise<void> {
  const all = machine.state.checkpoints;
  const kept = all.filter(({ id }) => !doomed.has(id));
  for (const checkpoint of kept) {
    while (checkpoint.parent !== undefined && doomed.has(checkpoint.parent)) {
      const above = all.find(({ id }) => id === checkpoint.parent)?.parent;
      if (above === undefined) delete checkpoint.parent;
      else checkpoint.parent = above;
    }
  }
  machine.state.checkpoints = kept;
  await core.save();
  await core.retainSeals(machine.disks());
  core.merging.kick(machine);
}
