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
  diskUnreachable: {
    kind: 'refused',
    text: 'disk {disk} of "{vm}" cannot be reached from here: {reason}',
    remedy:
      'look at `files` of the host in the configuration (`hvlift doctor` tries the way), or leave the disk out with --skip-disk',
  },
  chainTooDeep: {
    kind: 'refused',
    text: 'disk {disk} of "{vm}" lies on a chain of more than {most} files, and a checkpoint would add one',
    remedy:
      'remove checkpoints of the VM so that its files merge (`hvlift janitor` shows chains and what is left over), or pass --max-chain',
  },
  spaceTooLow: {
    kind: 'refused',
    text: 'the volume {volume}, on which "{vm}" lies, has {free} free; below {floor} no checkpoint is made, since it may fill the volume',
    remedy: 'make room on the volume; `hvlift janitor` shows what checkpoints hold there',
  },
  volumeFilling: {
    kind: 'retry',
    text: 'the run was ended before it could fill a volume: {volume} has {free} free, and the floor is {floor}',
    remedy:
      'nothing is lost, the checkpoint was removed and the old baseline stands; make room on the volume, then run again',
  },
  checkpointTooLarge: {
    kind: 'retry',
    text: 'the run was ended before it could fill a volume: since the checkpoint, "{vm}" wrote {written} to {volume}, and the budget is {budget}',
    remedy:
      'nothing is lost, the checkpoint was removed and the old baseline stands; run when the VM writes less, make room on the volume, or raise --checkpoint-budget',
  },
  noSuchDisk: {
    kind: 'refused',
    text: '"{vm}" has no disk "{disk}"; it has {disks}',
    remedy: 'name a disk by its number, its id or its file name as `hvlift backup --dry-run` shows them',
  },
  severalObstacles: {
    kind: 'refused',
    text: '{count} things keep "{vm}" from being backed up:\n{obstacles}',
    remedy: 'mend each of them; `hvlift backup --dry-run` shows them again and changes nothing',
  },
  shielded: {
    kind: 'refused',
    text: '"{vm}" is shielded: its disks are in the restore point as the guest encrypted them',
    remedy:
      'keep the keys of the guardian: without them the VM starts nowhere, and nothing in its disks can be read',
  },
  replicaVm: {
    kind: 'refused',
    text: '"{vm}" is the {role} of a VM on another host (Hyper-V Replica): it holds what was replicated last, as a crash would have left it',
    remedy: 'back up the VM on its primary host, where the guest can be asked for consistency',
  },
  primaryOfReplica: {
    kind: 'refused',
    text: '"{vm}" is replicated by Hyper-V Replica; backups go beside that',
    remedy:
      'nothing; after a failover back up the VM that runs then, whose disks are compared as a whole once',
  },
  userCheckpoints: {
    kind: 'refused',
    text: '"{vm}" has {count} of its users\' checkpoints; what is backed up is the VM as it runs, without them',
    remedy:
      'nothing; after going back to one of them the disks are compared as a whole once. Remove those nobody needs: each makes reads slower',
  },
  configurationUnread: {
    kind: 'retry',
    text: 'settings of "{vm}" are missing in the restore point, since the host failed to tell them ({classes}): {reason}',
    remedy:
      'nothing for the disks, which are complete; if it stays, look at the event log Hyper-V-VMMS of the host',
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
