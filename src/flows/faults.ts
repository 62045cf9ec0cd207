import { faults } from '../base/index.ts';

export const flowFaults = faults('FLOW', {
  noVmMatches: {
    kind: 'refused',
    text: 'no VM matches "{text}"; the account sees {visible}',
    remedy: '`hvlift vms` lists the VMs with their tags; a tag is the word #hvlift:TAG in the notes of a VM',
  },
  noVmLeft: {
    kind: 'refused',
    text: 'nothing is left to be backed up: the account sees {visible} VMs, and all of them are excepted',
    remedy: 'look at --except; an account without rights on the host sees no VM at all',
  },
  policyContradictsLock: {
    kind: 'refused',
    text: 'points would be dropped {dropped} days old, and the store locks what is written for {locked} days',
    remedy: 'keep more points, or lock for a shorter time',
  },
  noPointsOf: {
    kind: 'refused',
    text: 'the repository has no restore point of a VM "{vm}"',
    remedy: '`hvlift points` lists the restore points and their VMs',
  },
  clockBehind: {
    kind: 'refused',
    text: 'the clock of this machine says {clock}, and restore points of "{vm}" are dated up to {created}: either it is wrong, or one that made a backup was',
    remedy:
      'correct the clock that is wrong. Until it has passed that date, new points are dated just after it, and `hvlift prune` counts each of them as a day, a week or a year of its own: hold those you need longer with `hvlift points pin`, or keep them by --keep-last',
  },
  vmNotPruned: {
    kind: 'retry',
    text: 'the restore points of {vm} were left alone: a run works on this VM',
    remedy: 'nothing has to be done; the next `hvlift prune` looks at them again',
  },
  vmNotFolded: {
    kind: 'retry',
    text: 'the restore points of {vm} were left as they are: a run works on this VM',
    remedy: 'nothing has to be done; the next `hvlift fold` looks at them again',
  },
  noSuchDisk: {
    kind: 'refused',
    text: 'the restore point has no disk "{disk}"; it has {disks}',
    remedy: 'name a disk by its number or file name as `hvlift points --disks` shows it',
  },
  noFolder: {
    kind: 'refused',
    text: 'the folder {path} cannot be made: {reason}',
    remedy: 'choose a folder that you may write to; missing parts of its path are made',
  },
  hostFileLost: {
    kind: 'corrupt',
    text: "the file {path} of the VM's settings cannot be restored: {reason}",
    remedy: 'the disks and the settings as data are not affected; take the file from another restore point',
    lost: 'the file named',
  },
  settingsExist: {
    kind: 'refused',
    text: '{path} exists already and holds the settings of something else',
    remedy: 'nothing was written; choose another folder, or pass --overwrite',
  },
  oneDiskOnly: {
    kind: 'refused',
    text: 'a stream of the format {format} is one disk, and {disks} are chosen',
    remedy: 'name one disk, or choose the format ova, which holds them all',
  },
  servedOpenly: {
    kind: 'refused',
    text: 'on {host} anybody who reaches the port could read every disk served there',
    remedy:
      'give a certificate (--tls-cert, --tls-key, and --tls-clients to say who may come), or serve on 127.0.0.1 or a unix socket and go through SSH',
  },
  noSuchFile: {
    kind: 'refused',
    text: 'there is no file {path}',
    remedy: 'check the path',
  },
  fileNotReadable: {
    kind: 'refused',
    text: '{path} cannot be opened: {reason}',
    remedy: 'check its rights, and that no other program holds it',
  },
  notAFile: {
    kind: 'refused',
    text: '{path} is {what}; disks are read from regular files',
    remedy: 'name the file of the disk',
  },
  sourceChanged: {
    kind: 'retry',
    text: '{path} changed while it was read: another program writes to it',
    remedy: 'what was read belongs to no one moment; stop the VM or take a checkpoint, then start again',
  },
  noSuchLayer: {
    kind: 'refused',
    text: '{path} has no layer {layer}: they go from 0, the file itself, to {last}',
    remedy: '`hvlift disk info` lists the files of the chain in that order',
  },
  targetIsSource: {
    kind: 'refused',
    text: 'writing {target} would destroy {source}, which is being read',
    remedy: 'nothing was written; choose another name',
  },
  convertedDiffers: {
    kind: 'corrupt',
    text: '{path} was written and reads back otherwise, first at byte {offset} of the disk',
    remedy:
      'the new image was removed, an earlier one is as it was; look at the memory and the storage of this machine',
  },
  hashTooLong: {
    kind: 'refused',
    text: '{path} has holes of {holeBytes} bytes, and a plain hash must go through every zero of them',
    remedy:
      'pass --tree, which skips holes; a disk with fewer than {maximum} bytes of holes has a plain hash',
  },
  repairUnsupported: {
    kind: 'refused',
    text: '{path} is {format}; only VHDX files have what a copy can mend',
    remedy: 'bring the file back from a backup, or export the disk again on the host',
  },
  settingsLost: {
    kind: 'corrupt',
    text: 'the settings of the VM cannot be read from the repository: {reason}',
    remedy: 'the disks were restored; look for the settings in another restore point of the VM',
    lost: "the VM's settings in this restore point",
  },
  baselineNotAdopted: {
    kind: 'retry',
    text: 'restore point {point} is complete, but its reference point could not be made the new baseline: {reason}',
    remedy: 'nothing to do now: the next run mends this',
  },
  consistencyLowered: {
    kind: 'refused',
    text: 'the host reports the reference point as {consistency}-consistent only; the restore point counts as that',
    remedy: 'look at the VSS writers in the guest if this happens again',
  },
  checkpointNotConfirmed: {
    kind: 'retry',
    text: 'restore point {point} is complete, but the host could not be asked whether its checkpoint is gone: {reason}',
    remedy: 'nothing to do now: the next run looks again, and removes it if need be',
  },
  mergeRunning: {
    kind: 'retry',
    text: 'the host is still merging the checkpoint of "{vm}" after {seconds} s',
    remedy: 'watch the free space of the host; the next run checks again',
  },
  mergePending: {
    kind: 'retry',
    text: 'disks of "{vm}" lie on files of a checkpoint that is gone: the host has not merged them yet',
    remedy:
      'watch the free space of the host and run this again; a merge that never ends is told of in docs/operating/troubleshooting.md',
  },
  ownerUnknown: {
    kind: 'refused',
    text: '"{vm}" has a checkpoint of hvlift, "{checkpoint}", of which nobody here can say whether its run lives; it was not touched',
    remedy:
      'run `hvlift janitor` where its repository is configured, or name the repository with --repo; one that begins with "hvlift rct00000" was made by `hvlift rct enable` or `hvlift rct changes`, and goes with --by-hand when none of them runs',
  },
  chainUnread: {
    kind: 'retry',
    text: 'a chain of files of "{vm}" could not be followed: {reason}',
    remedy: 'run it again; in a cluster the VM may just have moved to another node',
  },
  leftOutDisks: {
    kind: 'refused',
    text: 'restore point {point} is not the whole VM: it has no {disks}',
    remedy: 'take those disks from elsewhere; `hvlift points show {point}` says why each is missing',
  },
  pointSuspect: {
    kind: 'corrupt',
    text: 'restore point {point} may lack changes of disk {disks}: the audit of restore point {alarm} found changes the host had not reported, and nothing tells since when',
    remedy:
      'take restore point {alarm} or a later one, whose disk was compared as a whole, or one from before those that `hvlift points` marks as suspect',
    lost: 'perhaps changes of the disks named, in this restore point',
  },
  changesNotReported: {
    kind: 'corrupt',
    text: 'ALARM: {bytes} of {compared} bytes of {disk} of "{vm}" that were audited had changed, and the host had reported no change; restore points that may lack changes: {points}',
    remedy:
      'this restore point is right: the disk was compared as a whole. Do not rely on the points named, which `hvlift points` marks as suspect, and find out what wrote past change tracking: storage, filter drivers, the host mounting the disk',
    lost: 'changes of the disk in the restore points named',
  },
  noteLost: {
    kind: 'corrupt',
    text: 'a note of an earlier run on "{vm}" is damaged ({note}): what that run left on the host may not be known any more',
    remedy:
      'look at the checkpoints of the VM with `hvlift janitor`; the note was removed, and this restore point is complete',
  },
  auditNotDone: {
    kind: 'corrupt',
    text: 'the audit of {disk} could not be done, since what the repository has of it cannot be read: {reason}',
    remedy: 'run `hvlift verify` to see what is damaged; the increment itself is not affected',
  },
  baselineNotSealed: {
    kind: 'retry',
    text: 'restore point {point} is complete, but its reference point could not be made: {reason}',
    remedy: 'nothing to do now: the next run uses the previous baseline, or compares the disks as a whole',
  },
});
