export * from './checkpoint-name.ts';
export * from './faults.ts';
export * from './hyperv-source.ts';
export * from './source-host.ts';
export * from './source.ts';
