export { labClass } from './class-table.ts';
export { deviceSettings } from './devices.ts';
export * from './table.ts';
export { CLUSTER_CLASSES, CLUSTER_NAMESPACE } from './cluster.ts';
