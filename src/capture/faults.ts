import { faults } from '../base/index.ts';

export const captureFaults = faults('CAPTURE', {
  vmBusy: {
    kind: 'retry',
    text: 'the host is busy with "{vm}": {activity}',
    remedy: 'wait until the host has finished with the VM, then start again',
  },
  foreignCheckpoint: {
    kind: 'refused',
    text: '"{vm}" already has a recovery checkpoint that is not ours: {checkpoint}',
    remedy:
      'Hyper-V allows one backup of a VM at a time: let the other backup finish, or remove its leftover checkpoint with the tool that made it',
  },
  unprotectableDisk: {
    kind: 'refused',
    text: 'disk {disk} of "{vm}" cannot be checkpointed: {reason}',
    remedy: 'detach or convert it, or pass --skip-unprotectable to leave it out of the restore point',
  },
  unreadableFormat: {
    kind: 'refused',
    text: 'disk {disk} of "{vm}" is a {format} file, which this version cannot read',
    remedy:
      'convert it to VHDX on the host, or pass --skip-unprotectable to leave it out of the restore point',
  },
  noDisks: {
    kind: 'refused',
    text: '"{vm}" has no disk that can be backed up',
    remedy: 'attach a virtual hard disk, or leave the VM out of the job',
  },
  notApplicationConsistent: {
    kind: 'refused',
    text: 'an application-consistent checkpoint of "{vm}" was required and could not be had: {reason}',
    remedy: '{fix}; or allow --consistency application-preferred',
  },
  wrongDisk: {
    kind: 'retry',
    text: 'the frozen file of disk {disk} of "{vm}" is not the disk the host named: {reason}',
    remedy: 'the disks of the VM were changed while the backup began; start it again',
  },
  diskLeftOut: {
    kind: 'refused',
    text: 'left out of the restore point: {why}',
    remedy: 'detach or convert the disk, or back up what it holds by other means',
  },
  onlyCrashConsistent: {
    kind: 'retry',
    text: '"{vm}" is only crash-consistent in this restore point: {reason}',
    remedy: '{fix}; --consistency application-required makes this an error',
  },
  trackingUnsupported: {
    kind: 'refused',
    text: 'configuration version {version} of "{vm}" has no change tracking (8.0 or later is needed): every backup reads all that is allocated and stores what differs',
    remedy: 'upgrade the configuration version of the VM (Update-VMVersion), which cannot be taken back',
  },
  orphanUnknown: {
    kind: 'refused',
    text: 'one of {count} reference points of "{vm}" was left by an interrupted run, and it cannot be told which; none was touched',
    remedy:
      'remove the one that no backup product uses, or leave it: it makes the host track changes and takes no disk space worth naming',
  },
  sealedAlready: {
    kind: 'bug',
    text: 'the capture of "{vm}" was used after it was sealed or aborted',
    remedy: 'please report this with the run record',
  },
  configurationFileUnread: {
    kind: 'refused',
    text: "the file {path} of the VM's settings is not in the restore point: {reason}",
    remedy:
      'nothing for the disks, which are; the settings as data are too. Give the account the right to read the file',
  },
  configurationFileTooLarge: {
    kind: 'refused',
    text: '{path} is too large: {bytes} bytes, at most {most} are kept',
    remedy: 'nothing: it holds the memory of a VM that was saved, not its settings',
  },
});
