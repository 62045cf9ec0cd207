export * from './checkpoint-name.ts';
export * from './cluster-source.ts';
export * from './faults.ts';
export { createHyperVSource } from './hyperv-source.ts';
export * from './source-host.ts';
export * from './source.ts';
