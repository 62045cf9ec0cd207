import { faults } from '../base/index.ts';

export const hypervFaults = faults('HYPERV', {
  vmNotFound: {
    kind: 'refused',
    text: 'no VM {vm} is among the {visible} virtual machines the host shows to this account',
    remedy:
      'check the name with `hvlift vms`. A host shows an account without rights an empty list instead of an error: add the account to the group Hyper-V Administrators (or Administrators) of the host',
  },
  vmAmbiguous: {
    kind: 'refused',
    text: '{count} virtual machines are named {vm}: {ids}',
    remedy: 'give the id instead of the name',
  },
  vmMoved: {
    kind: 'retry',
    text: 'VM {vm} moved from node {from} to {to} while hvlift worked on it',
    remedy: 'run again: the next run works on the new node, and removes there what this one may have left',
  },
  accessDenied: {
    kind: 'refused',
    text: 'the host does not let this account {what}',
    remedy: 'add the account to the group Hyper-V Administrators (or Administrators) of the host',
  },
  wrongState: {
    kind: 'retry',
    text: 'the host refused to {what} in the present state of the VM (code {code})',
    remedy:
      'wait until no other operation runs on the VM (export, migration, merge, another backup), then run again',
  },
  operationFailed: {
    kind: 'retry',
    text: 'the host failed to {what} (code {code}): {reason}',
    remedy: 'look at the event log Hyper-V-VMMS of the host for the same moment, then run again',
  },
  shutdownUnavailable: {
    kind: 'refused',
    text: 'the guest cannot be asked to shut down: {reason}',
    remedy:
      'shut the guest down from inside it, then go on. Or tick "Operating system shutdown" under Integration Services in the settings of the VM, and start the service vmicshutdown in a Windows guest',
  },
  guestLocked: {
    kind: 'refused',
    text: 'the guest refuses to shut down while somebody is logged on and its screen is locked (code {code})',
    remedy: 'log off in the guest, or allow force',
  },
  checkpointFailed: {
    kind: 'retry',
    text: 'the host failed to make a recovery checkpoint of {vm}, consistency {consistency} (code {code}): {reason}',
    remedy:
      'for consistency application, look at VSS in the guest (`vssadmin list writers`) or at hv_vss_daemon on Linux, or allow crash consistency; otherwise look at the event log Hyper-V-VMMS of the host and at the free space of its volumes',
  },
  checkpointBlocked: {
    kind: 'retry',
    text: 'the host refused a recovery checkpoint of {vm} (code {code}) while there is another one: {others}',
    remedy:
      'wait for the other backup to end. If none runs, remove what it left: `Get-VMSnapshot -VMName … -SnapshotType Recovery | Remove-VMSnapshot` on the host',
  },
  checkpointLeft: {
    kind: 'retry',
    text: 'a recovery checkpoint of {vm} was being made when the run ended, and could not be removed',
    remedy:
      'when the host answers again, remove it: `Get-VMSnapshot -VMName … -SnapshotType Recovery | Remove-VMSnapshot`',
  },
  referencePointLeft: {
    kind: 'retry',
    text: 'the host failed to make a reference point of {vm}, and whether one is left could not be found out',
    remedy: 'run again: the next run removes it',
  },
  markRefused: {
    kind: 'retry',
    text: 'the host did not take the name {name} for a recovery checkpoint of {vm}, so it was removed',
    remedy: 'run again; if it stays, look at the event log Hyper-V-VMMS of the host',
  },
  effectMissing: {
    kind: 'retry',
    text: 'the host was asked to {what}, and shows no sign of it after {seconds} s',
    remedy: 'run again; if it stays, look at the event log Hyper-V-VMMS of the host',
  },
  effectAmbiguous: {
    kind: 'retry',
    text: 'the host was asked to {what}, and {count} objects appeared instead of one',
    remedy: 'another backup product works on the same VM; run them one after the other',
  },
  jobStuck: {
    kind: 'retry',
    text: 'the host works on {what} for more than {seconds} s',
    remedy: 'look at the job on the host (`Get-VM | Select Name, Status`), then run again',
  },
  unexpectedAnswer: {
    kind: 'retry',
    text: 'the host gave an answer about {what} that makes no sense: {reason}',
    remedy: 'run again; if it stays, please report it with the run record',
  },
  diskMissing: {
    kind: 'refused',
    text: 'the host does not find {path}',
    remedy: 'check that the disk exists and that its volume is online on this host',
  },
  diskInUse: {
    kind: 'retry',
    text: 'the host cannot look at {path} while something else holds it (code {code})',
    remedy: 'in a cluster, connect to the node that runs the VM; otherwise wait for the other program to end',
  },
  baselineLost: {
    kind: 'retry',
    text: 'the host cannot say what changed on {path} since {rctId}: {reason}',
    remedy:
      'nothing to do: a backup compares all of the disk with what it has, stores what differs, and starts a new baseline',
  },
  referencePointNotFound: {
    kind: 'refused',
    text: 'the VM has no reference point {referencePoint}',
    remedy: 'give the id that `hvlift rct enable` printed, or run it again to make a new one',
  },
  referencePointDamaged: {
    kind: 'retry',
    text: 'reference point {referencePoint} names {disks} disks and {rctIds} change tracking ids',
    remedy:
      'if it was made by hand, remove it with `hvlift rct reset`; a backup compares the disks with what it has and makes another',
  },
});
