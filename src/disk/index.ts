export * from './counting.ts';
export * from './faults.ts';
export * from './file-reader.ts';
export * from './local-file.ts';
export * from './memory-disk.ts';
export * from './ports.ts';
export * from './range.ts';
export * from './raw-disk.ts';
