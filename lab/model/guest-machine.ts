/** A VM as a real guest finds it: each access to its disks while nobody seals or merges. */
import type { DiskState } from './host-state.ts';
import type { GuestDisk, GuestMachine } from './live-guest.ts';
import type { Machine } from './machine.ts';

export function guestMachine(machine: Machine): GuestMachine {
  const { id, name, generation, processors, memoryMiB } = machine.state;
  const disks = machine.disks().map(({ state }) => guestDisk(machine, state));
  return { id, name, generation, processors, memoryMiB, disks };
}

/** The disk is looked up each time: it may have moved to another file, or been pulled out. */
function guestDisk(
  machine: Machine,
  { id, size, logicalSectorSize, physicalSectorSize }: DiskState,
): GuestDisk {
  return {
    size,
    logicalSectorSize,
    physicalSectorSize,
    read: (offset, into) => machine.guestRead(id, offset, into),
    write: (offset, bytes) => machine.lock.run(() => machine.disk(id).write(offset, bytes)),
    zero: (offset, length) => machine.lock.run(() => machine.disk(id).trim(offset, length)),
  };
}
