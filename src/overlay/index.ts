export { overlayFaults } from './faults.ts';
export { OverlayDisk, type OverlayBase } from './overlay-disk.ts';
