import { faults } from '../base/index.ts';

export const sftpFaults = faults('SFTP', {
  notFound: {
    kind: 'refused',
    text: '{path} does not exist on {host}',
    remedy: 'it may have been moved or removed meanwhile; look at the host',
  },
  notAFile: {
    kind: 'refused',
    text: '{path} on {host} is not a file',
    remedy: 'name a file',
  },
  accessDenied: {
    kind: 'refused',
    text: '{user} may not read {path} on {host}',
    remedy: 'give the account that logs on by SSH the right to read it; disks of VMs need an administrator',
  },
  serverFailed: {
    kind: 'retry',
    text: '{host} failed at an SFTP {command} of {path}: {reason}',
    remedy:
      'a file that another program holds open and shares with nobody looks like this; wait for that program (often another backup) to end, look at the host, then run again',
  },
  fileChanged: {
    kind: 'refused',
    text: '{path} on {host} is not the file it was before the connection broke: {reason}',
    remedy: 'run again; what was read before is not used together with the new file',
    lost: 'the read under way',
  },
  folderTooLarge: {
    kind: 'refused',
    text: '{path} on {host} has more than {most} entries, too many to look for a name in another case',
    remedy: 'write the path with the case it has on the host',
  },
  timedOut: {
    kind: 'retry',
    text: '{host} did not answer an SFTP {command} within {seconds} s',
    remedy: 'the host is busy or hangs; look at it and at the network, then start again',
  },
  protocolBroken: {
    kind: 'corrupt',
    text: 'the SFTP answer of {host} makes no sense: {reason}',
    remedy:
      'look at what the host runs as its SFTP server; if it is OpenSSH, report this with the run record',
  },
  closed: {
    kind: 'bug',
    text: 'the SFTP client of {host} was used after it was closed',
    remedy: 'please report this with the run record',
  },
});
