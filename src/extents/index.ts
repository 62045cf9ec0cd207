export * from './extents.ts';
export * from './stream.ts';
