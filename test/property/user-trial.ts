/**
 * A user tries something out: a checkpoint, work of the guest, backups meanwhile, and back again; the checkpoint is deleted then or
 * stays. What a backup froze in between is of a past that the VM does not have any more, and its files may have the same
 * names as if nothing had been undone.
 */
import fc from 'fast-check';
import { backUp, QUIET } from './backup.ts';
import { commands } from './command.ts';
import { changeGuest, guestChanges, type GuestChange } from './guest.ts';
import { deleteUserCheckpoint, revert, userCheckpoint } from './host-events.ts';
import type { World } from './world.ts';

interface Trial {
  readonly before: GuestChange;
  readonly within: GuestChange;
  readonly after: GuestChange;
  readonly backsUp: boolean;
  readonly goesBack: boolean;
  readonly deletes: boolean;
}

const trial: fc.Arbitrary<Trial> = fc.record(
  {
    before: guestChanges,
    within: guestChanges,
    after: guestChanges,
    backsUp: fc.boolean(),
    goesBack: fc.boolean(),
    deletes: fc.boolean(),
  },
  { noNullPrototype: true },
);

async function tryOut(world: World, spec: Trial): Promise<void> {
  await userCheckpoint(world);
  await changeGuest(world, spec.before);
  const isBackedUp = spec.backsUp && (await canBeBackedUp(world));
  if (isBackedUp) await backUp(world, QUIET);
  await changeGuest(world, spec.within);
  if (spec.goesBack) await revert(world);
  if (spec.deletes) await deleteUserCheckpoint(world, -1);
  if (isBackedUp && spec.goesBack && spec.deletes)
    world.tally.count('gone back past a backup, the checkpoint deleted');
  await changeGuest(world, spec.after);
}

/** A quiet run of a VM without disks, or beside another tool, is refused, which other commands show. */
async function canBeBackedUp(world: World): Promise<boolean> {
  const { checkpoints, disks } = await world.vm();
  return disks.length > 0 && checkpoints.every(({ kind }) => kind === 'user');
}

export const userTrials = [
  { weight: 2, arbitrary: commands('a user tries something out', trial, tryOut) },
] as const;
