import { faults } from '../base/index.ts';

export const virtualDiskFaults = faults('VIRTUALDISK', {
  vhdSet: {
    kind: 'refused',
    text: '{path} is a VHD set: it only names the disk that guests share, in a format that is not published',
    remedy: 'open the .avhdx file of the set, which holds the disk; `Get-VHDSet` on the host names it',
  },
  otherFormat: {
    kind: 'refused',
    text: '{path} is a {format} image; VHDX, VHD and raw disks are read',
    remedy: 'convert it with `qemu-img convert`',
  },
  notADisk: {
    kind: 'refused',
    text: '{path} has {size} bytes and is in no known format; a raw disk has whole sectors of 512 bytes',
    remedy: 'check the path, and that the file was copied whole',
  },
});
