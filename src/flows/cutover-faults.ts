import { faults } from '../base/index.ts';

const UNDO = '`hvlift cutover {replica} --rollback` starts the source again';

export const cutoverFaults = faults('CUTOVER', {
  open: {
    kind: 'retry',
    text: 'a cutover of {vm} is not over: it is at the step "{step}"',
    remedy: `\`hvlift cutover {replica} --resume\` goes on with it; ${UNDO}`,
  },
  committed: {
    kind: 'refused',
    text: '{vm} was cut over: it runs on the other side now, from the disks of this replica',
    remedy:
      'its way back is `hvlift failback`; `hvlift replica remove` forgets the replica, and its images stay',
  },
  none: {
    kind: 'refused',
    text: 'there is no cutover of {vm} to go on with',
    remedy: 'begin one: `hvlift cutover {replica} --on …`',
  },
  tooLate: {
    kind: 'refused',
    text: 'the cutover of {vm} can no longer be taken back: it is at the step "{step}"',
    remedy: 'end it with `hvlift cutover {replica} --commit`; the way back is `hvlift failback` then',
  },
  undoing: {
    kind: 'refused',
    text: 'the cutover of {vm} is being taken back',
    remedy: 'finish that first: `hvlift cutover {replica} --rollback`',
  },
  declined: {
    kind: 'refused',
    text: 'the plan was not agreed to; nothing was done',
    remedy: 'run again when the time is right; --yes asks nothing',
  },
  notCommitted: {
    kind: 'refused',
    text: 'there is no cutover of {vm} that is final',
    remedy:
      'one that is not is taken back by `hvlift cutover {replica} --rollback`, which loses what was written on the other side',
  },
  machineRuns: {
    kind: 'refused',
    text: 'the machine that took the place of {vm} is {state}: its disks would change while they are read',
    remedy: 'shut it down, then run `hvlift failback` again',
  },
  notSeeded: {
    kind: 'refused',
    text: 'the replica of {vm} has no complete generation yet',
    remedy: 'finish `hvlift replicate` first',
  },
  stateUnreadable: {
    kind: 'corrupt',
    text: 'the state of the cutover in {path} cannot be read: {reason}',
    remedy:
      'look by hand where the VM runs. When it runs on its host only, move the file away and begin again; else move it away and stop one side first',
    lost: 'how far the cutover was',
  },
  wrongState: {
    kind: 'refused',
    text: '{vm} is {state}: what its guest has in memory would be lost',
    remedy: 'start it, or shut it down by hand, then go on with `hvlift cutover {replica} --resume`',
  },
  stillOn: {
    kind: 'retry',
    text: 'the guest of {vm} is still on {seconds} s after it was asked to shut down',
    remedy: `see what keeps it, then \`hvlift cutover {replica} --resume\`; with --force its cable is pulled after the time. ${UNDO}`,
  },
  sourceRuns: {
    kind: 'retry',
    text: 'somebody started {vm} on its host while it was being cut over (it is {state})',
    remedy: `\`hvlift cutover {replica} --resume\` shuts it down again and takes what it wrote; ${UNDO}`,
  },
  sourceUnsteady: {
    kind: 'retry',
    text: '{vm} was started and stopped on its host {rounds} times while its last changes were read',
    remedy: `find out who starts it, then \`hvlift cutover {replica} --resume\`. ${UNDO}`,
  },
  bothRan: {
    kind: 'retry',
    text: '{vm} ran on its host after it had been started on the other side; the other side was stopped',
    remedy:
      '`hvlift cutover {replica} --resume` takes what the VM wrote on its host, and drops what it wrote on the other side. `--rollback` drops that too, and stays on the host. To look at it first, copy the clone',
  },
  verifyFailed: {
    kind: 'corrupt',
    text: 'the replica is not what the source holds: disk {disk} differs at byte {offset}',
    remedy:
      '`hvlift cutover {replica} --rollback`, then `hvlift replica remove` and `hvlift replicate` with --seed existing: all is compared. Please report it with the run record',
    lost: 'nothing: the source is off and whole',
  },
  targetRuns: {
    kind: 'retry',
    text: 'the machine on the other side could not be seen off (it is {state}), so the source was not started',
    remedy: 'stop it there, then `hvlift cutover {replica} --rollback`',
  },
  unhealthy: {
    kind: 'retry',
    text: '{vm} was started on the other side and did not become healthy: {reason}',
    remedy: `look at it there; \`hvlift cutover {replica} --resume\` looks again. ${UNDO}`,
  },
});
