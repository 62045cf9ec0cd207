import { faults } from '../base/index.ts';

export const hypervisorFaults = faults('HYPERVISOR', {
  addressInvalid: {
    kind: 'refused',
    text: '"{address}" names no hypervisor: {reason}',
    remedy:
      'it is qemu:FOLDER, or libvirt:URI such as libvirt:qemu:///system or libvirt:qemu+ssh://host/system',
  },
  foreignMachine: {
    kind: 'refused',
    text: 'the machine {machine} of {hypervisor} is not of this replica',
    remedy: 'rename or remove it there, if it is not needed; it was not touched',
  },
  machineRuns: {
    kind: 'refused',
    text: 'the machine {machine} runs in {hypervisor}',
    remedy: 'switch it off first',
  },
  noMachine: {
    kind: 'refused',
    text: '{hypervisor} has no machine {machine}',
    remedy: 'somebody removed it; run the command again from its beginning',
  },
  startFailed: {
    kind: 'refused',
    text: '{hypervisor} could not start the machine {machine}: {reason}',
    remedy: 'mend what it names; if it cannot reach the disks, choose a folder that it can read and write',
  },
  noMemory: {
    kind: 'refused',
    text: 'the machine is to have {memoryMiB} MiB of memory, and all that {hypervisor} has are {totalMiB} MiB',
    remedy: 'give it less with --memory, or choose a larger hypervisor',
  },
  littleMemory: {
    kind: 'refused',
    text: 'the machine is to have {memoryMiB} MiB of memory, and {hypervisor} has {freeMiB} MiB free',
    remedy: 'it starts all the same, and may be slow; give it less with --memory, or stop something else',
  },
  noNetwork: {
    kind: 'refused',
    text: '{hypervisor} has no active network "{network}"',
    remedy: 'start it there (`virsh net-start`), or name another with --network',
  },
  noFirmware: {
    kind: 'refused',
    text: '{hypervisor} has no UEFI firmware for its machines{wanted}',
    remedy: 'install it there (Debian: ovmf; Fedora: edk2-ovmf), or leave Secure Boot off (--no-secure-boot)',
  },
  noTpm: {
    kind: 'refused',
    text: 'the VM has a TPM, and {hypervisor} cannot emulate one',
    remedy: 'install swtpm there; the machine gets an empty one',
  },
  noVirsh: {
    kind: 'refused',
    text: 'virsh cannot be started: {reason}',
    remedy: 'install it on this machine (Debian: libvirt-clients; Fedora: libvirt-client)',
  },
  unreachable: {
    kind: 'retry',
    text: '{hypervisor} cannot be reached: {reason}',
    remedy: 'look whether libvirtd runs there, and whether virsh reaches it without asking for a password',
  },
  commandFailed: {
    kind: 'refused',
    text: '{hypervisor} refused {command}: {reason}',
    remedy: 'mend what it names, then run again',
  },
  unresponsive: {
    kind: 'retry',
    text: '{hypervisor} did not answer {command} within {seconds} s',
    remedy: 'look at its load, and whether it hangs; then run again',
  },
  definitionUnreadable: {
    kind: 'corrupt',
    text: 'the definition of a machine in {path} cannot be read: {reason}',
    remedy: 'see that its QEMU is not running, then remove the folder',
    lost: 'the definition; its disks are elsewhere',
  },
  folderUnusable: {
    kind: 'refused',
    text: 'the folder {path} for machines cannot be used: {reason}',
    remedy: 'name one that you may write to',
  },
});
