import { faults } from '../base/index.ts';

export const workerFaults = faults('WORKER', {
  died: {
    kind: 'retry',
    text: 'a worker thread ended unexpectedly: {reason}',
    remedy: 'nothing was committed; run again, and report this if it happens again',
  },
  jobFailed: {
    kind: 'bug',
    text: 'a worker thread could not do its work: {reason}',
    remedy: 'please report this with the run record; nothing was committed',
  },
  poolClosed: {
    kind: 'bug',
    text: 'work was given to threads that were told to end',
    remedy: 'please report this with the run record',
  },
});
