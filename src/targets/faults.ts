import { faults } from '../base/index.ts';

export const targetFaults = faults('TARGET', {
  addressInvalid: {
    kind: 'refused',
    text: '"{address}" names no place for a replica: {reason}',
    remedy:
      'name a folder (dir:/path, dir:/path?format=vhdx) or an export of an NBD server (nbd://host/name-{n}, nbd+unix:///name-{n}?socket=/path)',
  },
  folderUnusable: {
    kind: 'refused',
    text: 'the folder {path} cannot be used: {reason}',
    remedy: 'name a folder that you may write to; look whether its volume is mounted and writable',
  },
  noRoom: {
    kind: 'refused',
    text: 'the disks take up to {neededBytes} bytes, and the volume of {path} has {freeBytes} left',
    remedy: 'free space, or choose another folder; nothing was written',
  },
  occupied: {
    kind: 'refused',
    text: '{place} holds something already, which is not of this replica',
    remedy:
      'choose another place; if it is a copy of this disk, pass --seed existing, and only differences are written',
  },
  diskMissing: {
    kind: 'refused',
    text: 'the disk {place} of the replica is gone',
    remedy:
      'mount its volume, start its server, or put it back; if it is lost, `hvlift replica remove` and replicate anew',
  },
  sizeFixed: {
    kind: 'refused',
    text: '{place} has {size} bytes and cannot be given the {wanted} bytes that the disk has now',
    remedy:
      'give the image that size with another program, then run again; or `hvlift replica remove`, move the image away, and replicate anew',
  },
  tooSmall: {
    kind: 'refused',
    text: '{place} has {size} bytes, and the disk has {wanted}',
    remedy: 'make what is exported at least as large as the disk, then run again',
  },
  sectorSizeDiffers: {
    kind: 'refused',
    text: '{place} has sectors of {sectorSize} bytes, and the disk has sectors of {wanted}',
    remedy: 'choose another place, or a format without sectors (format=raw)',
  },
  notAnImage: {
    kind: 'refused',
    text: '{place} is a VHDX that is part of a chain; a replica is one file a disk',
    remedy: 'convert it to one file with `hvlift disk convert`, or choose another place',
  },
  oneDiskOnly: {
    kind: 'refused',
    text: 'the address {address} names one export, and the VM has {disks} disks',
    remedy:
      'put {n} (the number of the disk, from 1) or {id} (its VirtualDiskId) into the name of the export',
  },
  notReadByQemu: {
    kind: 'refused',
    text: 'a machine cannot start over {place}: QEMU is given no certificates for TLS',
    remedy:
      'serve the same disks without TLS, on a unix socket of this machine or on its loopback address, and replicate there with --seed existing, which compares them',
  },
  keepsNone: {
    kind: 'refused',
    text: '{target} cannot keep earlier generations',
    remedy: 'leave --keep out, or replicate to a folder (dir:) on a file system whose files can share blocks',
  },
  noReflinks: {
    kind: 'refused',
    text: 'the file system of {path} cannot share blocks between files, so it cannot keep earlier generations: {reason}',
    remedy: 'leave --keep out, or choose a folder on XFS or Btrfs',
  },
  historyUnreadable: {
    kind: 'corrupt',
    text: 'what {path} says of a generation that was kept cannot be read: {reason}',
    remedy: 'remove its folder; the other generations and the replica are not concerned',
    lost: 'that generation',
  },
  readOnly: {
    kind: 'refused',
    text: '{place} cannot be written',
    remedy: 'have the server serve it writable',
  },
});
