export { punchHole } from './punch-hole.ts';
export { nextData } from './sparse-file.ts';
export { systemZstd, type SystemZstd } from './zstd.ts';
