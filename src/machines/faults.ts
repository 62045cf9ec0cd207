import { faults } from '../base/index.ts';

export const machineFaults = faults('MACHINE', {
  disksMissing: {
    kind: 'refused',
    text: 'the machine lacks {count} disks that the VM had: {paths}',
    remedy: 'a guest that needs them starts without; look with `hvlift points show` why they are not there',
  },
  settingsGuessed: {
    kind: 'refused',
    text: 'processors or memory of the VM are not known; the machine has {processors} processors and {memoryMiB} MiB',
    remedy: 'give it the memory it needs with --memory',
  },
  memoryFixed: {
    kind: 'refused',
    text: 'memory was dynamic, from {minimumMiB} to {maximumMiB} MiB; the machine has {memoryMiB} MiB, what the VM started with',
    remedy: 'give it more with --memory if the guest needs more',
  },
  processorsCut: {
    kind: 'refused',
    text: 'the VM had {processors} processors; the machine has {given}, the most it can have',
    remedy: 'nothing has to be done; the guest starts with fewer',
  },
  adapterIsolated: {
    kind: 'refused',
    text: 'the network adapter {adapter} was on "{switchName}" and is on no network now, so that the copy cannot meet the original',
    remedy: 'connect it with --network, once the original is off: --network "{switchName}=bridge:br0"',
  },
  vlanLeft: {
    kind: 'refused',
    text: 'the network adapter {adapter} was in VLAN mode {mode}{ids}, which the machine does not have',
    remedy: 'connect it to a bridge that is in that VLAN',
  },
  macLeft: {
    kind: 'refused',
    text: 'the network adapter {adapter} has no usable MAC address ("{mac}") and gets a new one',
    remedy: 'a guest whose settings are bound to the address has to be told the new one',
  },
  adapterModel: {
    kind: 'refused',
    text: 'network adapters are of model {model} now ({count} in all); to the guest they are new ones, with the addresses they had',
    remedy:
      'fixed addresses of the guest may have to be set again, because they belong to the adapter of before',
  },
  tpmEmpty: {
    kind: 'refused',
    text: 'the VM had a virtual TPM; what was in it stays behind',
    remedy: 'have the recovery key of BitLocker at hand; the guest asks for it when its disks are encrypted',
  },
  shielded: {
    kind: 'refused',
    text: 'the VM was shielded; its disks open only with the keys of its own host',
    remedy: 'bring it back to a host of its guarded fabric instead',
  },
  secureBootOff: {
    kind: 'refused',
    text: "Secure Boot is off: the keys of the template {template} are Hyper-V's own",
    remedy: 'nothing has to be done; a guest that insists on Secure Boot will say so',
  },
  bootEntriesLost: {
    kind: 'refused',
    text: 'the boot entries of the VM stay behind with its firmware; the guest starts from \\EFI\\BOOT\\BOOTX64.EFI of its first disk',
    remedy:
      'if it does not start, choose the loader of the system in the boot manager of the firmware (Esc at the start)',
  },
  sectorsMoved: {
    kind: 'refused',
    text: 'the disk {path} has sectors of 4096 bytes and hangs on an LSI SAS controller: SATA cannot have such disks',
    remedy:
      'nothing has to be done if it is not the disk the guest starts from; else choose --devices virtio',
  },
  dvdLeft: {
    kind: 'refused',
    text: 'the machine has no DVD drive; the VM had {paths}',
    remedy: 'add the image by hand if the guest needs it',
  },
  nestedLeft: {
    kind: 'refused',
    text: 'the VM ran virtual machines itself (nested virtualization); the machine may not',
    remedy:
      'switch nested virtualization on for KVM (kvm_intel or kvm_amd, nested=1) and pass the processor on',
  },
  unknownNetwork: {
    kind: 'refused',
    text: '--network names "{switchName}", and the VM is on {switches}',
    remedy: 'name a virtual switch of the VM, or * for all of them',
  },
  networkOfLibvirt: {
    kind: 'refused',
    text: "the network {name} is one of libvirt's, and QEMU alone cannot be connected to it",
    remedy: 'choose bridge:NAME or nat, or have a domain for libvirt printed',
  },
  networkOfQemu: {
    kind: 'refused',
    text: 'port {port} of the guest is to be reached, and libvirt has no network for that which leads nowhere else',
    remedy: 'let QEMU run it (--on qemu), or wait for a text on its serial port instead (--until-serial)',
  },
  noFirmware: {
    kind: 'refused',
    text: 'this machine has no UEFI firmware for QEMU{wanted}',
    remedy: 'install it (Debian: ovmf; Fedora: edk2-ovmf){instead}',
  },
  noQemu: {
    kind: 'refused',
    text: 'QEMU cannot be started: {reason}',
    remedy:
      'install qemu-system-x86_64 (Debian: qemu-system-x86), or print the definition without --run and use it elsewhere',
  },
  qemuFailed: {
    kind: 'refused',
    text: 'QEMU ended with {status}: {reason}',
    remedy: 'look at what it says; what the guest wrote and flushed is in the folder of --write',
  },
  pathUnusable: {
    kind: 'refused',
    text: '{path} cannot be used for the machine: {reason}',
    remedy: 'choose a folder for --write that you may write to, with a path of at most 90 bytes',
  },
});
