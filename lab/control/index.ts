export { connectFolder, connectLab } from './client.ts';
export { secretIn } from './lab.ts';
export { createLab, type CreateLabOptions, type Lab } from './lab.ts';
export type { LabAddress, LabClient } from './methods.ts';
