export * from './checkpoint-name.ts';
export * from './cluster-source.ts';
export type { DiskSelection } from './disk-selection.ts';
export * from './faults.ts';
export { createHyperVSource } from './hyperv-source.ts';
export { convertedEntries, orphanedPoints, removeLeftovers, sortedCheckpoints } from './leftovers.ts';
export { volumesUnder, type CheckpointBudget } from './room.ts';
export * from './source-host.ts';
export * from './source.ts';
