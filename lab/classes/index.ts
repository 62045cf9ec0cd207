export { labClass } from './class-table.ts';
export * from './table.ts';
