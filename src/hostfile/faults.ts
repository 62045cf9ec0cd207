import { faults } from '../base/index.ts';

export const hostFileFaults = faults('HOSTFILE', {
  badPath: {
    kind: 'refused',
    text: '{path} is not the full path of a file on the host: {reason}',
    remedy: 'give a path as the host writes it, such as C:\\ClusterStorage\\Volume1\\vm\\disk.vhdx',
  },
  badMapping: {
    kind: 'refused',
    text: 'the mapping from {from} to {to} cannot be used: {reason}',
    remedy: 'correct `files.mappings` of the host in the configuration',
  },
  noMapping: {
    kind: 'refused',
    text: 'no mapping leads to {path}',
    remedy:
      'add the folder that holds it to `files.mappings` of the host: `from` is the folder as the host names it, `to` is where it is mounted here',
  },
  noShare: {
    kind: 'refused',
    text: '{path} is on no share that hvlift may use: {reason}',
    remedy:
      'add the folder that holds it to `files.mappings` of the host: `from` is the folder as the host names it, `to` the share and folder that hold it, such as \\\\nas\\vms',
  },
  notFound: {
    kind: 'refused',
    text: '{path} does not exist (looked for {localPath})',
    remedy:
      'check that the file is still there, that a mounted share is mounted, and that mappings point at the right folder',
  },
  ambiguous: {
    kind: 'refused',
    text: '{path} could be {first} or {second}, which differ only in case',
    remedy: 'rename one of them; the host itself would see one name',
  },
  escaped: {
    kind: 'refused',
    text: '{path} leads out of the mapped folder, to {localPath}',
    remedy: 'map the folder the link points to, or remove the link',
  },
  notAFile: {
    kind: 'refused',
    text: '{path} is not a file ({localPath})',
    remedy: 'check the path; virtual disks are plain files',
  },
  noAccess: {
    kind: 'refused',
    text: 'this account may not read {path} ({localPath})',
    remedy: 'give the account that logs on to the share, mounted it, or runs hvlift, the right to read it',
  },
  noAccessOrHeld: {
    kind: 'refused',
    text: 'the server refuses to open {path} ({localPath}): this account may not read it, or another program holds it and shares it with nobody',
    remedy:
      'give the account the right to read the file; when it has that, wait for the other program to end, then run again',
  },
  inUse: {
    kind: 'retry',
    text: '{path} is held open by another program that shares it with nobody',
    remedy:
      'wait for the other program (often another backup or a disk tool on the host) to end, then run again',
  },
  unavailable: {
    kind: 'retry',
    text: 'opening {path} failed: {reason} ({localPath})',
    remedy: 'look at the host, the mount and the network, then run again',
  },
  closed: {
    kind: 'bug',
    text: 'a file of the host was opened after the way to it was closed',
    remedy: 'please report this with the run record',
  },
});
