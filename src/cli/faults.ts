import { faults } from '../base/index.ts';

/** What is wrong with the command line itself, or with what it names. */
export const cliFaults = faults('CLI', {
  noRetention: {
    kind: 'refused',
    text: 'nothing says how many restore points to keep',
    remedy:
      'name rules such as --keep-daily 7 --keep-weekly 4, or put `keep` into `vms` of the configuration',
  },
  verificationUnrecorded: {
    kind: 'refused',
    text: 'what was verified could not be written down: {reason}',
    remedy:
      'verify with rights to write to the repository: without them damage is not stored again by the next backup',
  },
  insecureHost: {
    kind: 'refused',
    text: 'the certificate of host {name} is not checked (`insecure`): whoever is between here and there can be the host',
    remedy: 'give the host a caFile or fingerprint256 instead of `insecure`',
  },
  usage: {
    kind: 'refused',
    text: '{reason}',
    remedy: 'see `{command} --help`',
  },
  rollbackDeclined: {
    kind: 'refused',
    text: 'not taken back: the machine that took the place of {vm} is well, and what it wrote since would be lost; nothing was done',
    remedy: 'copy what is to be kept, then run it again; --yes asks nothing',
  },
  readerGone: {
    kind: 'retry',
    text: 'the program that read stdout ended after {bytes} bytes',
    remedy: 'look at what it said, then start again; what it got is not complete',
  },
  comparisonBroke: {
    kind: 'bug',
    text: 'the comparison ended in a way that the program does not know: {reason}',
    remedy: 'run the command again with HVLIFT_DEBUG=1 and report what it prints as README.md says',
  },
  repositoryNotAsked: {
    kind: 'refused',
    text: 'the repository {name} could not be opened, so what its runs left cannot be known and stays: {reason}',
    remedy: 'run it again where that repository opens',
  },
  nodeNotAsked: {
    kind: 'retry',
    text: 'node {node} of the cluster does not answer, and VMs that are there were not looked at: {reason}',
    remedy:
      'run it again when the node answers; `nodes` of the host in the configuration says how it is reached',
  },
  vmAmbiguous: {
    kind: 'refused',
    text: 'the repository knows several VMs called "{vm}"',
    remedy: 'name it by its GUID; `hvlift points` shows it',
  },
  vmWithoutPoints: {
    kind: 'refused',
    text: 'the repository holds no restore point of a VM "{vm}"',
    remedy: 'see `hvlift points` for the VMs it knows',
  },
  noHost: {
    kind: 'refused',
    text: 'no host was named, and {path} does not say which one to use',
    remedy: 'pass --host NAME, set HVLIFT_HOST, or add one with `hvlift host add`; known hosts: {known}',
  },
  hostUnknown: {
    kind: 'refused',
    text: 'there is no host "{name}" in {path}',
    remedy: 'add it with `hvlift host add`; known hosts: {known}',
  },
  noAgent: {
    kind: 'refused',
    text: 'the keys of the SSH agent are to be used for {owner}, but SSH_AUTH_SOCK is not set',
    remedy: 'start an agent (`eval $(ssh-agent)`, `ssh-add`), or name its `ssh.keyFile` in the configuration',
  },
  hostExists: {
    kind: 'refused',
    text: 'there is already a host "{name}" in {path}',
    remedy: 'choose another name, or pass --replace',
  },
  noRepository: {
    kind: 'refused',
    text: 'no repository was named, and {path} does not say which one to use',
    remedy: 'pass --repo NAME or --repo PATH, or set HVLIFT_REPO; known repositories: {known}',
  },
  locationInvalid: {
    kind: 'refused',
    text: 'the address of the repository {reason}',
    remedy:
      'write a folder, s3://BUCKET/PREFIX?endpoint=URL or sftp://USER@HOST/PATH; see docs/operating/storage.md',
  },
  repositoryUnknown: {
    kind: 'refused',
    text: 'there is no repository "{name}" in {path}',
    remedy: 'write a folder as ./{name} or with its full path; known repositories: {known}',
  },
  repositoryExists: {
    kind: 'refused',
    text: 'there is already a repository "{name}" in {path}',
    remedy: 'choose another name',
  },
  folderNotEmpty: {
    kind: 'refused',
    text: '{path} is not empty: it holds {found}',
    remedy: 'make the repository in a new folder, such as {path}/hvlift',
  },
  certificateUnreadable: {
    kind: 'refused',
    text: '{path} cannot be read: {reason}',
    remedy: 'name a PEM file that this user can read',
  },
  recoveryKeyNotSaved: {
    kind: 'refused',
    text: 'the recovery key could not be written to {path}: {reason}',
    remedy: 'name a file that does not exist yet, in a folder you may write to',
  },
});

export const configFaults = faults('CONFIG', {
  notFound: {
    kind: 'refused',
    text: 'there is no configuration file {path}',
    remedy: 'create it with `hvlift host add`, or correct --config or HVLIFT_CONFIG',
  },
  unreadable: {
    kind: 'refused',
    text: '{path} cannot be read: {reason}',
    remedy: 'correct its rights, or choose another file with --config',
  },
  invalid: {
    kind: 'refused',
    text: 'the configuration has {count}:\n{problems}',
    remedy: 'correct the lines named above; docs/reference/config.md lists every key',
  },
  tooLarge: {
    kind: 'refused',
    text: '{path} has {bytes} bytes; a configuration has at most {most}',
    remedy: 'check that this is the file you meant',
  },
  unwritable: {
    kind: 'refused',
    text: '{path} cannot be written: {reason}',
    remedy: 'correct the rights of its folder, or choose another file with --config; the file is as it was',
  },
  changedMeanwhile: {
    kind: 'retry',
    text: '{path} was changed by someone else in the meantime',
    remedy: 'run the command again; the file is as they left it',
  },
});

/** Details of these never hold a secret or a part of one. */
export const secretFaults = faults('SECRET', {
  fileUnreadable: {
    kind: 'refused',
    text: 'the file of {what}, {path}, cannot be read: {reason}',
    remedy: 'create it with mode 0600 and the secret as its only line, or correct the path',
  },
  fileUnsuitable: {
    kind: 'refused',
    text: 'the file of {what}, {path}, {problem}',
    remedy: 'the file holds the secret as its only line, as UTF-8 text of at most 4096 bytes',
  },
  variableMissing: {
    kind: 'refused',
    text: 'the environment variable {name}, which should hold {what}, is not set or empty',
    remedy: 'set it, or choose a file or another variable in the configuration',
  },
  noTerminal: {
    kind: 'refused',
    text: '{what} is needed, and there is no terminal to ask on',
    remedy: '{instead}',
  },
  mismatch: {
    kind: 'refused',
    text: 'the two entries of {what} differ',
    remedy: 'run the command again and type the same twice',
  },
  empty: {
    kind: 'refused',
    text: '{what} was left empty',
    remedy: 'run the command again and type it',
  },
});
