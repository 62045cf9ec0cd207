export { labClass } from './class-table.ts';
export * from './table.ts';
export { CLUSTER_CLASSES, CLUSTER_NAMESPACE } from './cluster.ts';
