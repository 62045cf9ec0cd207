/**
 * The VM of a restore point as an OVF package describes one. The settings were stored by the backup as the host told them;
 * what is missing in them gets a value a VM can start with, and what a package cannot say becomes a note in it.
 */
import type { VmConfiguration } from '../hyperv/index.ts';
import type { OvfMachine } from '../images/index.ts';
import type { PointDisk, RestorePoint } from '../repository/index.ts';

/** VMware takes memory in steps of 4 MiB. */
const MEMORY_STEP_MIB = 4;
const MEMORY_UNKNOWN_MIB = 2048;

/** `chosen`: the disks that go into the package. */
export function ovaMachine(
  point: RestorePoint,
  configuration: Partial<VmConfiguration>,
  chosen: readonly PointDisk[],
): OvfMachine {
  const { processors = 1, memory, networkAdapters = [], firmware } = configuration;
  const startupMiB = memory?.startupMiB || MEMORY_UNKNOWN_MIB;
  return {
    name: point.vm.name,
    firmware: generationOf(point, configuration) === 2 ? 'efi' : 'bios',
    secureBoot: firmware?.secureBoot ?? false,
    processors,
    memoryMiB: Math.ceil(startupMiB / MEMORY_STEP_MIB) * MEMORY_STEP_MIB,
    networkAdapters,
    notes: notesOf(point, configuration, chosen),
  };
}

/** The order of disks in a package: the first is the one the VM starts from, which on generation 1 hangs on IDE. */
export function inBootOrder(disks: readonly PointDisk[]): PointDisk[] {
  const rank = (disk: PointDisk): number => {
    const { controller, slot = 0 } = placeOf(disk);
    return (controller?.kind === 'ide' ? 0 : 1e6) + (controller?.number ?? 0) * 1000 + slot;
  };
  return disks.toSorted((a, b) => rank(a) - rank(b));
}

export function busOf(disk: PointDisk): 'ide' | 'scsi' {
  return placeOf(disk).controller?.kind === 'ide' ? 'ide' : 'scsi';
}

/** As the host's `AttachedDisk` was when it was stored. */
function placeOf(disk: PointDisk): { controller?: { kind?: string; number?: number }; slot?: number } {
  return (disk.attachment ?? {}) as ReturnType<typeof placeOf>;
}

function generationOf(point: RestorePoint, configuration: Partial<VmConfiguration>): number {
  return point.vm.generation ?? configuration.generation ?? 1;
}

function notesOf(
  point: RestorePoint,
  configuration: Partial<VmConfiguration>,
  chosen: readonly PointDisk[],
): string[] {
  const { memory, networkAdapters = [] } = configuration;
  const left = point.disks.filter((disk) => !chosen.includes(disk)).map((disk) => disk.path);
  const efi = generationOf(point, configuration) === 2;
  return [
    `Restore point ${point.id} of ${point.created}, ${point.consistency.reached}-consistent.`,
    'The guest operating system is not known to the package: choose it before the first start.',
    ...(efi ? ['A virtual TPM is not in the package: BitLocker will ask for its recovery key.'] : []),
    ...(memory?.dynamic
      ? [`Memory was dynamic, from ${memory.minimumMiB} to ${memory.maximumMiB} MiB.`]
      : []),
    ...(memory ? [] : ['Processors and memory were not known: the values are guesses.']),
    ...(networkAdapters.length > 0
      ? ['The network adapters have the MAC addresses they had on Hyper-V. All are on one network.']
      : []),
    ...(left.length > 0 ? [`Disks that are not in the package: ${left.join(', ')}.`] : []),
  ];
}
