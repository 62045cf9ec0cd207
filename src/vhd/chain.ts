/**
 * Opening a chain of VHD files.
 *
 * A parent is accepted by identity alone: its `uniqueId` must be the one its child names. VHD has no mark that changes with
 * the content, so a parent that was written after its child was made is not told from the right one; Hyper-V does not
 * compare the parent's timestamp either, and Windows 10 leaves it zero.
 */
import { openChain, type ChainFormat, type OpenChainOptions } from '../chain/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { BitmapCache } from './bitmap-cache.ts';
import { VhdDisk } from './disk.ts';
import { vhdFaults } from './faults.ts';
import { openLayer, type Layer } from './layer.ts';
import { readStructure, type Structure } from './structure.ts';

const VHD_CHAIN: ChainFormat<Structure> = {
  faultPrefix: 'VHD_',
  faults: vhdFaults,
  read: readStructure,
  parentOf: ({ parent }) => parent,
  isParent: ({ parentLinkage }, { footer }) => footer.fields.uniqueId === parentLinkage,
  isCopy: ({ footer: a }, { footer: b }) => a.fields.uniqueId === b.fields.uniqueId,
};

/**
 * Opens the VHD at `path` with all its parents, which must be VHD files as well. The locator given to `parentPaths` has the
 * parent's `uniqueId` as its linkage. Faults: any of `VHD_`; what `open` throws for `path` itself passes through, for a
 * parent it becomes the cause of `VHD_PARENT_MISSING` unless a retry may help.
 */
export function openVhdChain(path: string, options: OpenChainOptions): Promise<VhdDisk> {
  return openChain(path, options, VHD_CHAIN, (files) => diskOf(files, options));
}

/** Opens one file that has no parent. A differencing disk is `VHD_NEEDS_PARENT`. On a fault `reader` stays open. */
export async function openVhd(
  reader: RangeReader,
  options: CallOptions & { path?: string } = {},
): Promise<VhdDisk> {
  const structure = await readStructure(reader, options.path ?? 'the file', options);
  if (structure.parent) throw vhdFaults.needsParent({ path: structure.path });
  return diskOf([structure], options);
}

async function diskOf(files: readonly Structure[], options: CallOptions): Promise<VhdDisk> {
  const cache = new BitmapCache();
  const layers: Layer[] = [];
  for (const structure of files) layers.push(await openLayer(structure, cache, options));
  return new VhdDisk(layers);
}
