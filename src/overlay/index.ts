export { overlayFaults } from './faults.ts';
export { OverlayDisk, type OverlayBase, type WrittenRun } from './overlay-disk.ts';
