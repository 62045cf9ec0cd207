export type { AreaPiece, VolumeMap } from './area-map.ts';
export { filesystemFaults } from './faults.ts';
export { readPartitions, type Partition, type PartitionTable } from './partition-table.ts';
export { openVolume, type Volume } from './volume.ts';
