import { faults } from '../base/index.ts';

export const rehearsalFaults = faults('REHEARSAL', {
  runs: {
    kind: 'retry',
    text: 'a rehearsal of {vm} runs since {startedAt}',
    remedy: 'wait until it ends, then run again',
  },
  kept: {
    kind: 'refused',
    text: 'the machine of a rehearsal of {vm} was kept, since {startedAt}, in {hypervisor}',
    remedy: 'end it with `hvlift rehearse {replica} --end`, then run again',
  },
  none: {
    kind: 'refused',
    text: 'there is no rehearsal of {vm} to end',
    remedy: 'nothing has to be done',
  },
  noteUnreadable: {
    kind: 'corrupt',
    text: 'the note of a rehearsal in {path} cannot be read: {reason}',
    remedy: 'see that no machine of a rehearsal runs, then remove that file',
    lost: 'what the rehearsal would have removed: its machine and the folder with its clone',
  },
  notEnded: {
    kind: 'retry',
    text: 'the machine of the rehearsal of {vm} could not be removed from {hypervisor}: {reason}',
    remedy: 'run `hvlift rehearse {replica} --end` when it can be reached; its clone stays until then',
  },
  targetChanged: {
    kind: 'refused',
    text: 'somebody else wrote to the disks of the replica of {vm} since its last cycle; they are not its generation {generation}',
    remedy: 'run `hvlift replicate`, which compares them and puts them right, then rehearse',
  },
  noAdapter: {
    kind: 'refused',
    text: '{vm} has no network adapter, so port {port} of its guest cannot be reached',
    remedy: 'wait for a text on its serial port instead (--until-serial), or for nothing but that it runs',
  },
  noPorts: {
    kind: 'refused',
    text: '{hypervisor} cannot reach a port of a guest that is on no network',
    remedy: 'let QEMU run it (--on qemu), or wait for a text on its serial port instead (--until-serial)',
  },
  folderUnusable: {
    kind: 'refused',
    text: 'the folder {path} for the clone cannot be used: {reason}',
    remedy: 'name one with --folder that you, and whoever runs the machine, may write to',
  },
  unhealthy: {
    kind: 'refused',
    text: 'generation {generation} of {vm} started, and was not healthy: {reason}',
    remedy:
      'run it again with --keep and look at its screen; a guest without drivers for its devices may need --convert',
  },
});
