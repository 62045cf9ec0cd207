import { faults } from '../base/index.ts';

export const doctorFaults = faults('DOCTOR', {
  plainHttp: {
    kind: 'refused',
    text: 'requests to {address} are not encrypted: whoever is between here and there can read names and sizes, and what a repository without encryption holds',
    remedy: 'use an endpoint that begins with https://',
  },
  scratchStays: {
    kind: 'refused',
    text: 'objects of these checks stay below {scratch} in {location}, because they could not be removed',
    remedy:
      'nothing needs them: remove them with an account that may delete; an account that may only write is meant to leave them',
  },
  nameUnknown: {
    kind: 'refused',
    text: 'the name {host} is not known here: {reason}',
    remedy:
      'check its spelling in the configuration, the DNS server of this computer, and that it searches the domain of the host',
  },
  portClosed: {
    kind: 'retry',
    text: 'port {port} of {host} can not be reached: {reason}',
    remedy: 'start the service on the host and let its firewall, and every one between, pass the port',
  },
  autoStops: {
    kind: 'refused',
    text: 'NTLM works, but `auth: auto` does not come to it: {reason}',
    remedy: 'mend Kerberos as said above, or set `auth: ntlm` for the host in the configuration',
  },
  clockOff: {
    kind: 'refused',
    text: 'the clock of {host} is {minutes} min {direction} ours; Kerberos allows 5',
    remedy: 'let this computer and the host take their time from the same source',
  },
  certificateEnds: {
    kind: 'refused',
    text: 'the certificate of {host} ends in {days} days, on {date}',
    remedy:
      'renew it and give the new one to the HTTPS listener; pin the new fingerprint if the old one was pinned',
  },
  accountSeesNothing: {
    kind: 'refused',
    text: '{user} may ask root/virtualization/v2 and gets nothing at all, not even the host itself: Windows hides what the account has no rights to',
    remedy:
      'make the account a member of Hyper-V Administrators and of Remote Management Users; a local administrator other than the built-in one also needs remote UAC filtering off (the last line), or a domain account instead',
  },
  windowsTooOld: {
    kind: 'refused',
    text: '{host} runs Windows {version}; change tracking begins with Windows Server 2016 (10.0.14393)',
    remedy: 'move the VMs to a newer host; hvlift does not back up from this one',
  },
  serviceStopped: {
    kind: 'refused',
    text: 'the service vmms of {host}, which runs Hyper-V, is {state}',
    remedy: 'start it, and look into the event log Hyper-V-VMMS/Admin for why it stopped',
  },
  vmsTooOld: {
    kind: 'refused',
    text: 'configuration version below 8.0, so no change tracking, every backup reads all of it: {vms}',
    remedy:
      'raise the version while the VM is off; that can not be taken back, and hosts older than Server 2016 can not run it then',
  },
  envelopeSmall: {
    kind: 'refused',
    text: 'one WinRM message of {host} may have {kib} KiB; 500 is what Windows comes with',
    remedy:
      'raise it: long lists of changes come in more and smaller answers, and the settings of a large VM may not fit at all',
  },
  diskNotVhdx: {
    kind: 'corrupt',
    text: '{path} was read, but is no VHDX: it begins with {beginning}',
    remedy:
      'check that the mapping, share or SSH path of the configuration leads to the files of this host and to no copy',
  },
  spaceLow: {
    kind: 'refused',
    text: 'little room for what VMs write during a backup: {volumes}',
    remedy: 'free space there: a volume that fills up while a checkpoint stands stops its VMs',
  },
  checkpointOfOurs: {
    kind: 'refused',
    text: 'recovery checkpoints of hvlift: {checkpoints}',
    remedy:
      'if a backup runs, it is its own; if none does, the next backup of the VM removes what its own repository made, and the lines remove any',
  },
  checkpointOfOthers: {
    kind: 'refused',
    text: 'recovery checkpoints of another tool, while which no backup can begin: {checkpoints}',
    remedy: 'wait for the other backup to end; if none runs, remove what it left',
  },
  mergePending: {
    kind: 'refused',
    text: 'disks that write to an AVHDX without a checkpoint that needs it: {disks}',
    remedy:
      'if a merge runs, wait for it; if none does, start or restart the VM, and only then look further. Never merge by hand first',
  },
});
