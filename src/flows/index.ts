export * from './rct.ts';
export * from './reference-point-ledger.ts';
