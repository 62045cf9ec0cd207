import { faults } from '../base/index.ts';

export const flowFaults = faults('FLOW', {
  noSuchDisk: {
    kind: 'refused',
    text: 'the restore point has no disk "{disk}"; it has {disks}',
    remedy: 'name a disk by its number or file name as `hvlift points` shows it',
  },
  baselineNotSealed: {
    kind: 'retry',
    text: 'restore point {point} is complete, but its reference point could not be made: {reason}',
    remedy: 'nothing to do now: the next run uses the previous baseline, or reads the disk in full',
  },
});
