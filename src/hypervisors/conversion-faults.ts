import { faults } from '../base/index.ts';

export const conversionFaults = faults('CONVERSION', {
  noProgram: {
    kind: 'refused',
    text: 'virt-v2v-in-place cannot be started: {reason}',
    remedy:
      'install it on this machine (Debian and Fedora: virt-v2v), or go without it (--convert compatible)',
  },
  tooOld: {
    kind: 'refused',
    text: 'virt-v2v-in-place is of version {version}, and at least 2.0 is needed',
    remedy: 'install a newer virt-v2v, or go without it (--convert compatible)',
  },
  noDrivers: {
    kind: 'refused',
    text: 'the guest has NTFS volumes, so it is Windows, and there are no drivers for it: {reason}',
    remedy:
      'put the folder or ISO of virtio-win on this machine and its path into the environment variable VIRTIO_WIN, or go without (--convert compatible)',
  },
  failed: {
    kind: 'refused',
    text: 'virt-v2v-in-place could not convert the guest: {reason}',
    remedy:
      'run `virt-v2v-in-place` by hand on a copy to see all it says; or go without it (--convert compatible). The replica is as it was',
  },
});
