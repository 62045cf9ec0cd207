export * from './faults.ts';
export type { FolderMapping } from './folder-mapping.ts';
export * from './fs-host-files.ts';
export * from './open-readers.ts';
export * from './port.ts';
export * from './sftp-host-files.ts';
export * from './smb-host-files.ts';
export * from './windows-path.ts';
