import { faults } from '../base/index.ts';

export const diskFaults = faults('DISK', {
  outOfRange: {
    kind: 'bug',
    text: 'bytes {offset} to {end} were asked of a disk of {size} bytes',
    remedy: 'please report this with the run record',
  },
  closed: {
    kind: 'bug',
    text: 'the disk was used after it was closed',
    remedy: 'please report this with the run record',
  },
  truncated: {
    kind: 'corrupt',
    text: '{path} ended at byte {end}, {missing} bytes before what was promised',
    remedy: 'the file shrank or was cut; look at its volume, then run again',
  },
  replaced: {
    kind: 'retry',
    text: 'another file took the name {path} while it was being read',
    remedy: 'see that nothing replaces the file meanwhile, then run again',
  },
  ioFailed: {
    kind: 'retry',
    text: 'reading or writing {path} failed: {reason}',
    remedy: 'look at the volume that holds it, then run again',
  },
  noSpace: {
    kind: 'refused',
    text: 'the volume of {path} is full',
    remedy: 'free space or choose another folder, then run again; what was committed earlier is intact',
  },
});
