/** What the host, its administrator and other tools do to the VM and to our marks on it. */
import fc from 'fast-check';
import { isFault } from '../../src/base/index.ts';
import { RETURN } from '../../lab/model/index.ts';
import { commands, pick } from './command.ts';
import { STRANGER, type World } from './world.ts';

const nothing = fc.constant({});
const choice = fc.record({ which: fc.nat({ max: 3 }) }, { noNullPrototype: true });

/**
 * Somebody destroys the reference point of a baseline. Not one that a broken run of ours left unrecorded: when that vanishes
 * and another tool makes one, ours takes it for its own, which is decided (docs/decisions/0002).
 */
export async function loseReferencePoint(world: World, which: number): Promise<void> {
  const recorded = await (await world.repository()).baselines(world.vmId);
  const ours = (await world.stranger.referencePoints(world.vmId)).filter((point) =>
    recorded.some((each) => each.referencePointId === point.instanceId),
  );
  const point = pick(ours, which);
  if (!point) return;
  await world.stranger.destroyReferencePoint(point);
  world.knowledge.pointsLost += 1;
}

export async function resetTracking(world: World, which: number): Promise<void> {
  const disk = pick((await world.vm()).disks, which);
  if (!disk) return;
  await world.lab.resetTracking(world.vmId, disk.diskId);
  world.knowledge.trackingLost(disk.diskId);
}

async function holdMerges(world: World): Promise<void> {
  world.knowledge.mergesHeld = !world.knowledge.mergesHeld;
  await world.lab.holdMerges(world.vmId, world.knowledge.mergesHeld);
  await world.lab.settle();
}

/** A restarted host has forgotten that its merges are held. One that lost power has lost what its guests had cached too. */
async function restart(world: World, { clean }: { clean: boolean }): Promise<void> {
  await world.restartHost({ clean });
  world.tally.count(clean ? 'the host restarted' : 'the host lost power');
  world.knowledge.mergesHeld = false;
  await world.lab.settle();
}

const SERVICE = { className: 'Msvm_VirtualSystemSnapshotService', keys: {} };
const STANDARD = 2;

/** A user takes a checkpoint in Hyper-V Manager. */
export async function userCheckpoint(world: World): Promise<void> {
  const AffectedSystem = { className: 'Msvm_ComputerSystem', keys: { Name: world.vmId.toUpperCase() } };
  const input = { AffectedSystem, SnapshotType: STANDARD };
  await world.lab.provider.invoke(SERVICE, 'CreateSnapshot', input, { user: STRANGER });
  await world.lab.settle();
  for (const { id, kind } of (await world.vm()).checkpoints)
    if (kind === 'user') world.knowledge.foreign.add(`Microsoft:${id}`);
}

/** `which`: -1 is the newest. */
export async function deleteUserCheckpoint(world: World, which: number): Promise<void> {
  const users = (await world.vm()).checkpoints.filter(({ kind }) => kind === 'user');
  const checkpoint = which < 0 ? users.at(which) : pick(users, which);
  if (!checkpoint) return;
  const AffectedSnapshot = {
    className: 'Msvm_VirtualSystemSettingData',
    keys: { InstanceID: `Microsoft:${checkpoint.id}` },
  };
  const { returnValue } = await world.lab.provider.invoke(
    SERVICE,
    'DestroySnapshot',
    { AffectedSnapshot },
    { user: STRANGER },
  );
  if (returnValue === RETURN.jobStarted) world.knowledge.foreign.delete(`Microsoft:${checkpoint.id}`);
  await world.lab.settle();
}

/** What somebody does to a VM by hand takes time: two of its states never begin in the same millisecond. */
const HANDS_MS = 1000;

/** A user turns the VM off and goes back to the newest checkpoint: the ids of what was sealed since count for nothing. */
export async function revert(world: World): Promise<void> {
  const { checkpoints } = await world.vm();
  const newest = checkpoints.at(-1);
  if (newest?.kind !== 'user') return;
  await world.clock.advance(HANDS_MS);
  await world.lab.setPower(world.vmId, 'off');
  const Snapshot = {
    className: 'Msvm_VirtualSystemSettingData',
    keys: { InstanceID: `Microsoft:${newest.id}` },
  };
  const before = await world.vm();
  await world.lab.provider.invoke(SERVICE, 'ApplySnapshot', { Snapshot }, { user: STRANGER });
  await world.lab.settle();
  await world.lab.setPower(world.vmId, 'running');
  const after = await world.vm();
  if (after.disks.every(({ files }, index) => files.at(-1) === before.disks[index]?.files.at(-1))) return;
  world.tally.count('a VM was reverted');
  await noteRevert(world, newest.id);
  const kept = new Set(after.disks.map(({ diskId }) => diskId));
  world.knowledge.detached.push(...before.disks.map(({ diskId }) => diskId).filter((id) => !kept.has(id)));
}

async function noteRevert(world: World, checkpointId: string): Promise<void> {
  const seals = await world.lab.seals(world.vmId);
  const index = seals.findIndex(({ id }) => id === checkpointId);
  const later = new Set(seals.slice(index + 1).map(({ id }) => id));
  for (const { diskId } of seals[index]!.disks) world.knowledge.reverted(diskId, later);
}

/** Another backup tool freezes the VM, or goes on with what it froze: its checkpoint becomes a reference point. */
export async function otherBackup(world: World): Promise<void> {
  const { foreign } = world.knowledge;
  const standing = (await world.stranger.checkpoints(world.vmId)).find(
    (each) => each.kind === 'recovery' && foreign.has(each.instanceId),
  );
  try {
    if (standing) {
      const point = await world.stranger.convertToReferencePoint(standing);
      foreign.delete(standing.instanceId);
      foreign.add(point.instanceId);
    } else {
      const options = { consistency: 'crash', name: 'Other Backup 2026' } as const;
      const { instanceId } = await world.stranger.createRecoveryCheckpoint(world.vmId, options);
      foreign.add(instanceId);
      world.knowledge.foreignSeals.add(instanceId);
    }
  } catch (error) {
    if (!isFault(error) || error.kind === 'bug') throw error; // our checkpoint is there, or the VM is in a state for none
  }
  await world.lab.settle();
}

async function otherForgets(world: World, which: number): Promise<void> {
  const { foreign } = world.knowledge;
  const points = (await world.stranger.referencePoints(world.vmId)).filter((each) =>
    foreign.has(each.instanceId),
  );
  const point = pick(points, which);
  if (!point) return;
  await world.stranger.destroyReferencePoint(point);
  foreign.delete(point.instanceId);
}

export const hostCommands = [
  {
    weight: 2,
    arbitrary: commands('lose a reference point', choice, (w, { which }) => loseReferencePoint(w, which)),
  },
  { weight: 1, arbitrary: commands('reset the tracking', choice, (w, { which }) => resetTracking(w, which)) },
  { weight: 1, arbitrary: commands('hold or release merges', nothing, holdMerges) },
  {
    weight: 2,
    arbitrary: commands(
      'restart the host',
      fc.record({ clean: fc.boolean() }, { noNullPrototype: true }),
      restart,
    ),
  },
  { weight: 1, arbitrary: commands('move to another node', nothing, (w) => w.move()) },
  { weight: 3, arbitrary: commands('user checkpoint', nothing, userCheckpoint) },
  { weight: 2, arbitrary: commands('revert to the newest checkpoint', nothing, revert) },
  {
    weight: 2,
    arbitrary: commands('delete a user checkpoint', choice, (w, { which }) => deleteUserCheckpoint(w, which)),
  },
  { weight: 2, arbitrary: commands('another backup goes on', nothing, otherBackup) },
  {
    weight: 1,
    arbitrary: commands('another backup forgets', choice, (w, { which }) => otherForgets(w, which)),
  },
] as const;
