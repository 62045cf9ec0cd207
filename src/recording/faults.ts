import { faults } from '../base/index.ts';

export const recordingFaults = faults('RECORDING', {
  exists: {
    kind: 'refused',
    text: '{path} exists already',
    remedy: 'name another file; a recording is never written over something',
  },
  unwritable: {
    kind: 'refused',
    text: '{path} can not be written: {reason}',
    remedy: 'name a file in a folder that exists and that you may write to',
  },
  tooLarge: {
    kind: 'refused',
    text: 'the answers of the host take more than {limitBytes} bytes',
    remedy: 'name one VM with --vm, so that less is recorded',
  },
  leak: {
    kind: 'bug',
    text: 'a {what} would have been left in the recording; nothing was written',
    remedy: 'please report this, without the name',
  },
});
