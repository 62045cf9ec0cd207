export * from './faults.ts';
export * from './fs-host-files.ts';
export * from './open-readers.ts';
export * from './port.ts';
export * from './windows-path.ts';
