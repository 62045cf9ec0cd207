/**
 * Reverting a VM to a checkpoint of a user (ApplySnapshot).
 *
 *   base ◄── frozen by the checkpoint ◄── leaf            what was written since is gone with its file
 *                                     ◄── new leaf        writes go here from now on
 *
 * What change tracking of a host does then is not documented. Here it is as with a copy of disk and tracking files made at the
 * checkpoint: ids sealed until then are known and answer rightly, later ones are refused; or, as the option `undoneIds` says, answered
 * as if nothing had been undone. Only the newest checkpoint can be applied, so that a chain of files stays a line.
 */
import type { HostCore } from './core.ts';
import { newLeafOf } from './checkpoints.ts';
import { LabFailure } from './failure.ts';
import type { Machine } from './machine.ts';
import { RETURN } from './return-codes.ts';

export async function applyCheckpoint(core: HostCore, machine: Machine, checkpointId: string): Promise<void> {
  await machine.lock.run(async () => {
    const checkpoint = machine.state.checkpoints.at(-1);
    if (checkpoint?.id !== checkpointId || checkpoint.kind !== 'user') {
      throw new LabFailure(RETURN.failed, 'only the newest checkpoint of a user can be applied');
    }
    machine.cache.drain();
    const keepsLater = core.options.undoneIds === 'answered';
    const left: { disk: ReturnType<Machine['disk']>; paths: string[] }[] = [];
    for (const file of checkpoint.disks) {
      const disk = core.disks.get(file.diskId)!;
      left.push({ disk, paths: await disk.revert(file, checkpointId, newLeafOf(disk), { keepsLater }) });
    }
    machine.state.drives = checkpoint.drives.map((drive) => ({ ...drive }));
    machine.state.power = 'off';
    machine.state.configuredAt = core.clock.now();
    await core.save();
    for (const { disk, paths } of left) for (const path of paths) await disk.deleteFile(path);
  });
}
