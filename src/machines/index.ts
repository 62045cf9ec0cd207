export { accelerator } from './accelerator.ts';
export type { CapturedDisk } from './captured-disks.ts';
export {
  describeMachine,
  type CapturedVm,
  type DescribedMachine,
  type MachineChoices,
} from './captured-machine.ts';
export { machineFaults } from './faults.ts';
export { findUefi, type UefiFirmware } from './firmware.ts';
export { cloneDisk } from './disk-clone.ts';
export { domainName, libvirtDomain } from './libvirt-domain.ts';
export type { Accelerator, AdapterNetwork, DiskSource, Machine } from './machine.ts';
export { machineFiles, QEMU, qemuArguments, shellLine, type MachineFiles } from './qemu-command.ts';
export { checkMachineFolder, prepareMachineFolder } from './machine-folder.ts';
export { runQemu } from './run-qemu.ts';
