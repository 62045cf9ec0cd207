export {
  defaultParentPaths,
  type MapOptions,
  type MappedRun,
  type OpenChainOptions,
  type ParentLocator,
} from '../chain/index.ts';
export { detectDiskFormat, type DiskFormat } from './disk-format.ts';
export { virtualDiskFaults } from './faults.ts';
export { openVirtualDisk, type VirtualDisk } from './virtual-disk.ts';
export { readVirtualDiskInfo, type VirtualDiskInfo } from './virtual-disk-info.ts';
