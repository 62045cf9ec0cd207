export { copyDisk, type CopyRequest, type CopyStats } from './copy-disk.ts';
