import { faults } from '../base/index.ts';

export const replicaFaults = faults('REPLICA', {
  busy: {
    kind: 'retry',
    text: 'another run works on this replica: {holder}',
    remedy: 'wait until it ends, then run again',
  },
  unknown: {
    kind: 'refused',
    text: 'there is no replica "{replica}" in {folder}',
    remedy: '`hvlift replica list` shows the replicas of this machine; --state names another folder',
  },
  ambiguous: {
    kind: 'refused',
    text: '"{replica}" may mean {count} replicas: {ids}',
    remedy: 'name it by its id',
  },
  stateUnreadable: {
    kind: 'corrupt',
    text: 'the state of the replica in {path} cannot be read: {reason}',
    remedy:
      'move the folder away and run `hvlift replicate` with --seed existing: all is compared, and only differences are written',
    lost: 'which generation the replica is at',
  },
  stagingLost: {
    kind: 'corrupt',
    text: 'generation {generation} is complete only with what was staged in {folder}, and that cannot be read: {reason}',
    remedy:
      'bring the folder back; if it is lost, `hvlift replica remove`, then `hvlift replicate` with --seed existing: all is compared, and only differences are written',
    lost: 'generations up to this one; until a new one is complete, the target may hold a mixture of two',
  },
  folderUnusable: {
    kind: 'refused',
    text: 'the folder {path} for the state of replicas cannot be used: {reason}',
    remedy: 'name one you may write to with --state',
  },
  rehearsed: {
    kind: 'retry',
    text: 'a rehearsal runs over generation {generation} on the target, which must not change below it; the next generation, {next}, is complete in its staging and waits',
    remedy:
      'nothing is lost; the first cycle after the rehearsal goes on. A machine that was kept (--keep) is ended by `hvlift rehearse {replica} --end`',
  },
  broughtLater: {
    kind: 'retry',
    text: 'generation {generation} is complete, and stays in its staging while a rehearsal runs over the target',
    remedy: 'nothing has to be done; the first cycle after the rehearsal brings it to the target',
  },
  noGeneration: {
    kind: 'refused',
    text: 'the replica of {vm} has no complete generation yet',
    remedy: 'run `hvlift replicate` until one is complete',
  },
  notKept: {
    kind: 'retry',
    text: 'generation {generation} is complete, but is not among those that are kept, or older ones stayed: {reason}',
    remedy: 'nothing of the replica is lost; look at the room of the target, the next cycle tries again',
  },
  noSuchGeneration: {
    kind: 'refused',
    text: 'generation {generation} of {vm} is not kept; there are: {numbers}',
    remedy: 'name one of those; `hvlift replicate` keeps the last ones with --keep',
  },
  otherVm: {
    kind: 'refused',
    text: 'restore point {point} is of {other}, and the replica of {vm}',
    remedy: 'name a restore point of the same VM; `hvlift points` shows them',
  },
  mapUnreadable: {
    kind: 'corrupt',
    text: 'the repository cannot tell how {disk} differs from restore point {point}, which the target holds: {reason}',
    remedy: 'nothing to do: the disk is compared. Run `hvlift verify` on the repository',
  },
  notRolled: {
    kind: 'retry',
    text: 'generation {next}, which is generation {generation} again, is not on the target whole yet: {reason}',
    remedy:
      'see to the room and the volume of the target, then `hvlift replica settle`; the next cycle goes on too',
  },
  begun: {
    kind: 'refused',
    text: 'the replica has generation {generation} already, and takes no seed',
    remedy: 'leave --seed out: only what changed is sent; or `hvlift replica remove` first',
  },
  baselineNotSealed: {
    kind: 'retry',
    text: 'generation {generation} is complete, but its checkpoint could not become a reference point: {reason}',
    remedy: 'nothing is lost; the next cycle reads a little more',
  },
  baselineNotAdopted: {
    kind: 'retry',
    text: 'generation {generation} is complete, but its reference point could not be recorded: {reason}',
    remedy: 'nothing is lost; the next cycle removes what is left on the host',
  },
  checkpointNotConfirmed: {
    kind: 'retry',
    text: 'generation {generation} is complete, but it is not known whether its checkpoint is gone: {reason}',
    remedy: 'look at the host; the next cycle removes what is left of it',
  },
  mergeRunning: {
    kind: 'retry',
    text: 'the host still merges the checkpoint of {vm} after {seconds} s',
    remedy: 'it goes on by itself; look at the load of its storage if it lasts',
  },
  markStays: {
    kind: 'retry',
    text: 'a reference point that the replica of {vm} needs no more could not be removed from the host: {reason}',
    remedy: 'nothing is lost; the next cycle tries again',
  },
  notTrackable: {
    kind: 'refused',
    text: 'the host cannot track the changes of {vm}',
    remedy: 'each cycle reads and compares all of it; raise the configuration version of the VM',
  },
  diskLeft: {
    kind: 'refused',
    text: 'the disk {place} is no longer part of the VM; generation {generation} is without it',
    remedy: 'remove it when you no longer need it; should the disk come back, it is gone on with',
  },
});
