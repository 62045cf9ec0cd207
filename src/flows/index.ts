export * from './backup.ts';
export * from './rct.ts';
export * from './reference-point-ledger.ts';
export * from './restore.ts';
export * from './run-record.ts';
