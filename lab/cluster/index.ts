export { LabCluster, type LabClusterOptions, type MoveOptions } from './lab-cluster.ts';
