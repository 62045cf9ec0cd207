import { faults } from '../base/index.ts';

const COPY =
  'run `hvlift verify` to see what is affected, and bring the file back from a copy of the repository';

export const repositoryFaults = faults('REPO', {
  notInitialised: {
    kind: 'refused',
    text: 'there is no repository in {location}',
    remedy: 'correct the path, or make one with `hvlift init`',
  },
  alreadyInitialised: {
    kind: 'refused',
    text: 'there is already a repository in {location}',
    remedy: 'choose another place; nothing was changed',
  },
  formatNewer: {
    kind: 'refused',
    text: 'the repository in {location} has format {found}; this hvlift knows formats up to {known}',
    remedy: 'use a newer hvlift',
  },
  headerDamaged: {
    kind: 'corrupt',
    text: '{name} in {location} is damaged: {problem}',
    remedy: 'bring the file back from a copy of the repository; every restore point depends on it',
  },
  passphraseNeeded: {
    kind: 'refused',
    text: 'the repository in {location} is encrypted',
    remedy: 'give its passphrase or its recovery key',
  },
  wrongPassphrase: {
    kind: 'refused',
    text: 'the {secret} does not open the repository in {location}; its key slots: {slots}',
    remedy:
      'try again, or with the secret of another slot; without a secret of one of them nobody can read the repository',
  },
  kdfMissing: {
    kind: 'refused',
    text: 'Node.js {node} cannot compute Argon2id, by which the passphrase opens this repository',
    remedy: 'use Node.js 24.7 or later, or open the repository with its recovery key',
  },
  keysInTheClear: {
    kind: 'refused',
    text: 'the repository in {location} is not encrypted: it has no secrets to change',
    remedy: 'make an encrypted repository with `hvlift init` and copy the restore points into it',
  },
  keySlotNotFound: {
    kind: 'refused',
    text: 'no single key slot begins with "{slot}"',
    remedy: 'list them with `hvlift keys list`',
  },
  keySlotLast: {
    kind: 'refused',
    text: 'without key slot {slot} nobody could open the repository any more',
    remedy: 'add another secret with `hvlift keys add` first',
  },
  recoveryKeyInvalid: {
    kind: 'refused',
    text: 'this is not a recovery key: {problem}',
    remedy: 'type it as it was printed; blanks, hyphens and case do not matter',
  },
  notEncrypted: {
    kind: 'refused',
    text: 'a secret was given, but the repository in {location} is not encrypted',
    remedy: 'leave the secret out if that is what you expect; if not, somebody replaced the repository',
  },
  objectMissing: {
    kind: 'corrupt',
    text: 'the {kind} object {id} is in no pack the index knows',
    remedy:
      '`hvlift repair --apply` makes the index anew; if that does not help, a pack file is lost: bring it back from a copy',
    lost: 'what the object held, in every restore point that uses it',
  },
  objectDamaged: {
    kind: 'corrupt',
    text: 'the {kind} object {id} in {name} at byte {offset} is damaged: {problem}',
    remedy: COPY,
    lost: 'what the object held, in every restore point that uses it',
  },
  objectQuarantined: {
    kind: 'corrupt',
    text: 'the object {id} was found damaged by an earlier verification',
    remedy:
      'back up the VM again: what it still has is stored anew, and every restore point that needs it is whole again',
    lost: 'what the object held, in every restore point that uses it',
  },
  pageDamaged: {
    kind: 'corrupt',
    text: 'a {kind} page of a disk map is not well formed: {problem}',
    remedy: COPY,
  },
  packDamaged: {
    kind: 'corrupt',
    text: 'the pack {name} is damaged: {problem}',
    remedy: COPY,
  },
  indexDamaged: {
    kind: 'corrupt',
    text: 'the index segment {name} is damaged: {problem}',
    remedy: '`hvlift repair --apply` makes the index anew; the packs hold everything that is needed for it',
  },
  indexUnsettled: {
    kind: 'retry',
    text: 'the segments of the index were others at every look, {looks} times in a row',
    remedy:
      'run again; if nobody else works with the repository, the storage lists files that it does not give: look at it',
  },
  pointDamaged: {
    kind: 'corrupt',
    text: '{name} is damaged: {problem}',
    remedy: 'bring the file back from a copy of the repository; other restore points are not affected',
    lost: 'what this one file records',
  },
  pointNotFound: {
    kind: 'refused',
    text: 'there is no restore point "{point}"',
    remedy: 'list them with `hvlift points`',
  },
  pointAmbiguous: {
    kind: 'refused',
    text: 'more than one restore point begins with "{point}": {matches}',
    remedy: 'give more of its id',
  },
  pointDropped: {
    kind: 'refused',
    text: 'restore point {point} was dropped while it was read, and what it needed was collected',
    remedy:
      '`hvlift points` lists those there are; a point that is held with `hvlift points pin` is not dropped',
  },
  readUnregistered: {
    kind: 'refused',
    text: 'the store does not let it be known that a restore point is being read: {reason}',
    remedy:
      'until it has been read, hold the point with `hvlift points pin`, or run neither `hvlift prune` nor `hvlift gc`; with rights to create and delete below sessions/ nothing has to be done',
  },
  vmBusy: {
    kind: 'retry',
    text: 'another run works on this VM: {holder}',
    remedy: 'wait until it ends, then run again',
  },
  leaseLost: {
    kind: 'retry',
    text: 'another run took this VM over while this one was not heard of for too long',
    remedy: 'run again; nothing of this run was committed',
  },
  sessionLost: {
    kind: 'retry',
    text: 'this run was not heard of for too long, and the collector of garbage took it for dead',
    remedy: 'run again; nothing of this run was committed',
  },
  collectorBusy: {
    kind: 'retry',
    text: 'garbage of this repository is being collected by another run',
    remedy: 'wait until it ends; it does all that this one would have done',
  },
  pruneBusy: {
    kind: 'retry',
    text: 'restore points of this repository are being dropped or held by another run',
    remedy: 'wait until it ends, then run again',
  },
  epochMoved: {
    kind: 'retry',
    text: 'another run went on with collecting garbage meanwhile',
    remedy: 'run again; nothing was deleted by this one',
  },
  baselineConflict: {
    kind: 'bug',
    text: 'a different baseline is already recorded for restore point {point}',
    remedy: 'please report this with the run record; the recorded baseline was kept',
  },
  copyIntoItself: {
    kind: 'refused',
    text: 'the repository in {location} is the one to copy from, or a copy of it: it has these restore points',
    remedy: 'name another repository; `hvlift init` makes one',
  },
  sessionClosed: {
    kind: 'bug',
    text: 'the write session was used after it ended',
    remedy: 'please report this with the run record',
  },
});
