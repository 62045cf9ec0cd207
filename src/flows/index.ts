export * from './backup.ts';
export * from './check-disk.ts';
export * from './point-stream.ts';
export * from './rct.ts';
export * from './reference-point-ledger.ts';
export type { PipeFormat, RestoreFormat } from './restore-formats.ts';
export * from './restore.ts';
export * from './run-record.ts';
