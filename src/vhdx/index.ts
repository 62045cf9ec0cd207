export {
  defaultParentPaths,
  type MapOptions,
  type MappedRun,
  type OpenChainOptions,
  type ParentLocator,
} from '../chain/index.ts';
export { openVhdx, openVhdxChain } from './chain.ts';
export {
  createDifferencingVhdx,
  createVhdx,
  type CreateDifferencingOptions,
  type CreateVhdxOptions,
  type VhdxShapeOptions,
} from './create.ts';
export { checkVhdx, type VhdxCheck, type VhdxFinding } from './check.ts';
export type { ChainFile, VhdxDisk } from './disk.ts';
export { vhdxFaults } from './faults.ts';
export { mergeVhdx, type MergeOptions } from './merge.ts';
export type { DiskShape, Metadata, VhdxKind } from './metadata.ts';
export {
  createPlacedDifferencingVhdx,
  createPlacedVhdx,
  type PlacedVhdxChild,
  type PlacedVhdxOptions,
} from './placed.ts';
export { repairVhdx, type RepairTarget } from './repair.ts';
export { readVhdxInfo, type ReplayInfo, type VhdxInfo } from './structure.ts';
export { openVhdxWritable, type OpenWritableOptions, type VhdxFile } from './vhdx-file.ts';
