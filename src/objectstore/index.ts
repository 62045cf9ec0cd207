export * from './counting-store.ts';
export * from './directory-store.ts';
export { storeFaults } from './faults.ts';
export * from './faulty-store.ts';
export * from './memory-store.ts';
export * from './port.ts';
export * from './process-mark.ts';
export * from './store-layer.ts';
