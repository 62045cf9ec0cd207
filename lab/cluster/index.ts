export { openCluster } from './kept-cluster.ts';
export { LabCluster, type LabClusterOptions, type MoveOptions } from './lab-cluster.ts';
