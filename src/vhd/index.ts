export { openVhd, openVhdChain } from './chain.ts';
export { createPlacedVhd, createVhd, type CreateVhdOptions } from './create.ts';
export type { VhdChainFile, VhdDisk } from './disk.ts';
export { vhdFaults } from './faults.ts';
export { hasVhdFooter, type VhdKind } from './footer.ts';
export type { Geometry } from './geometry.ts';
export { vhdNotes, type VhdNote } from './notes.ts';
export { readVhdInfo, type VhdInfo } from './structure.ts';
export { openVhdWritable, type VhdFile } from './vhd-file.ts';
