import { faults } from '../base/index.ts';

export const overlayFaults = faults('OVERLAY', {
  exists: {
    kind: 'refused',
    text: '{path} exists already',
    remedy:
      'choose another folder for the overlay, or remove this one when what was written there is not needed',
  },
  notOne: {
    kind: 'refused',
    text: '{path} is no overlay: {reason}',
    remedy: 'name the folder that an earlier run made, or a new one',
  },
  otherBase: {
    kind: 'refused',
    text: 'the overlay {path} was written over {found}, not over {expected}',
    remedy: 'use it with the restore point and disk it belongs to; over another one it means nothing',
  },
});
