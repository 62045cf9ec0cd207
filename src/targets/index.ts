export { targetFaults } from './faults.ts';
export { openTarget } from './open-target.ts';
export type { PlannedTargetDisk, Target, TargetDisk, TargetDiskSpec } from './port.ts';
