import { faults } from '../base/index.ts';

export const smbFaults = faults('SMB', {
  unreachable: {
    kind: 'retry',
    text: 'no SMB connection to {host} port {port}: {reason}',
    remedy:
      'check the name, the network and the firewall rule "File and Printer Sharing (SMB-In)" of the host',
  },
  connectionLost: {
    kind: 'retry',
    text: 'the SMB connection to {host} broke: {reason}',
    remedy: 'look at the host and the network, then start again',
  },
  timedOut: {
    kind: 'retry',
    text: '{host} did not answer an SMB {command} within {seconds} s',
    remedy: 'the host is busy or hangs; look at its event log and at the network, then start again',
  },
  dialectRefused: {
    kind: 'refused',
    text: '{host} does not speak SMB 3.1.1 ({reason})',
    remedy:
      'Windows Server 2016 and later speak it; allow SMB 3.1.1 on the host (`Get-SmbServerConfiguration`)',
  },
  encryptionRefused: {
    kind: 'refused',
    text: '{host} does not encrypt SMB: {reason}',
    remedy:
      'allow AES-128-GCM or AES-256-GCM on the host (`Set-SmbServerConfiguration -EncryptionCiphers`); hvlift sends and reads nothing unencrypted',
  },
  logonFailed: {
    kind: 'refused',
    text: '{host} refused user {user}: {reason}',
    remedy:
      'check user (DOMAIN\\name or name@domain) and password, whether the account is locked, and that NTLM is not blocked; nothing is tried again with this password',
  },
  logonUnavailable: {
    kind: 'retry',
    text: '{host} could not check user {user} now: {reason}',
    remedy: 'check that the host reaches its domain controller, then start again',
  },
  guestRefused: {
    kind: 'refused',
    text: '{host} let user {user} in only as a guest',
    remedy:
      'the host does not know the user and maps strangers to its guest account: correct the user, or forbid guests on the host',
  },
  noSuchShare: {
    kind: 'refused',
    text: '{host} has no share {share}',
    remedy:
      'administrative shares such as C$ exist unless AutoShareServer is switched off in the registry of the host; for another share, check its name',
  },
  notADisk: {
    kind: 'refused',
    text: 'the share {share} of {host} holds no files',
    remedy: 'name a share of files, not one of printers or pipes',
  },
  dfsRefused: {
    kind: 'refused',
    text: '{path} on {host} belongs to a DFS namespace, which hvlift does not follow',
    remedy:
      'name the server and the share that really hold the files; `dfsutil client property state` or the DFS console shows them',
  },
  symbolicLink: {
    kind: 'refused',
    text: '{path} on {host} leads through a symbolic link, which hvlift does not follow',
    remedy: 'name the real path; `fsutil reparsepoint query` on the host shows where the link points',
  },
  notFound: {
    kind: 'refused',
    text: '{path} does not exist on {host}',
    remedy: 'it may have been moved or removed meanwhile; look at the host',
  },
  badName: {
    kind: 'refused',
    text: '{host} does not accept {path} as the name of a file',
    remedy: 'correct the path',
  },
  notAFile: {
    kind: 'refused',
    text: '{path} on {host} is a folder',
    remedy: 'name a file',
  },
  accessDenied: {
    kind: 'refused',
    text: '{user} may not read {path} on {host}',
    remedy:
      'administrative shares admit members of Administrators only; a local account other than Administrator also needs LocalAccountTokenFilterPolicy=1 on the host',
  },
  sharingViolation: {
    kind: 'retry',
    text: '{path} on {host} is held open by another program that lets nobody read it',
    remedy: 'wait for the other program (often another backup or a disk tool) to end, then run again',
  },
  rangeLocked: {
    kind: 'retry',
    text: 'a program on {host} has locked a part of {path} against reading',
    remedy: 'wait for that program to end, then run again',
  },
  fileChanged: {
    kind: 'refused',
    text: '{path} on {host} is not the file it was before the connection broke: {reason}',
    remedy: 'run again; what was read before is not used together with the new file',
    lost: 'the read under way',
  },
  serverFailed: {
    kind: 'retry',
    text: '{host} failed at an SMB {command}: {status}',
    remedy: 'look at the event log Microsoft-Windows-SMBServer/Operational of the host, then start again',
  },
  tampered: {
    kind: 'corrupt',
    text: 'a message from {host} was changed, replaced or not encrypted on its way',
    remedy:
      'look for a proxy or an intruder between this computer and the host; nothing of the message was used',
  },
  protocolBroken: {
    kind: 'corrupt',
    text: 'the SMB answer of {host} makes no sense: {reason}',
    remedy:
      'look for a proxy between this computer and the host; if there is none, report this with the run record',
  },
  closed: {
    kind: 'bug',
    text: 'the SMB client of {host} was used after it was closed',
    remedy: 'please report this with the run record',
  },
});
