export { targetFaults } from './faults.ts';
export { openTarget } from './open-target.ts';
export type {
  KeptGeneration,
  PlannedTargetDisk,
  Target,
  TargetDisk,
  TargetDiskSpec,
  TargetHistory,
} from './port.ts';
