export { detectDiskFormat, type DiskFormat } from './disk-format.ts';
export { virtualDiskFaults } from './faults.ts';
export { openVirtualDisk, type VirtualDisk } from './virtual-disk.ts';
