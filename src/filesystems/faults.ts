import { faults } from '../base/index.ts';

export const filesystemFaults = faults('FILESYSTEM', {
  damaged: {
    kind: 'corrupt',
    text: '{what} cannot be read: {reason}',
    remedy:
      'check the file system in the guest (chkdsk, e2fsck) when it should be sound; the backup does not depend on it',
  },
  tooLarge: {
    kind: 'refused',
    text: '{what} has more parts than are kept in memory ({limit})',
    remedy: 'nothing: changes are then told by region instead of by area',
  },
});

export function damaged(what: string, reason: string): Error {
  return filesystemFaults.damaged({ what, reason });
}
