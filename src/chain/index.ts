export * from './chain-disk.ts';
export type { MapOptions, MappedRun } from './chain-map.ts';
export * from './layer-runs.ts';
export * from './open-chain.ts';
export * from './parent-paths.ts';
