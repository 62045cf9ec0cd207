/**
 * Opening a chain of VHDX files.
 *
 * A parent is accepted by identity alone: its DataWriteGuid must be the one its child names.
 */
import { openChain, type ChainFormat, type OpenChainOptions } from '../chain/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { VhdxDisk } from './disk.ts';
import { vhdxFaults } from './faults.ts';
import { Layer } from './layer.ts';
import { isParent } from './locator.ts';
import { PageCache } from './pages.ts';
import { readStructure, type Structure } from './structure.ts';

const VHDX_CHAIN: ChainFormat<Structure> = {
  faultPrefix: 'VHDX_',
  faults: vhdxFaults,
  read: readStructure,
  parentOf: ({ metadata }) => metadata.parentLocator,
  isParent: (locator, { header }) => isParent(locator, header.dataWriteGuid),
  isCopy: ({ header: a }, { header: b }) =>
    a.fileWriteGuid === b.fileWriteGuid && a.dataWriteGuid === b.dataWriteGuid,
  checkPair: checkSectors,
};

/**
 * Opens the VHDX at `path` with all its parents. Faults: any of `VHDX_`; what `open` throws for `path` itself passes
 * through, for a parent it becomes the cause of `VHDX_PARENT_MISSING` unless a retry may help.
 */
export function openVhdxChain(path: string, options: OpenChainOptions): Promise<VhdxDisk> {
  return openChain(path, options, VHDX_CHAIN, (files) => diskOf(files, options));
}

/** Opens one file that has no parent. A differencing disk is `VHDX_NEEDS_PARENT`. On a fault `reader` stays open. */
export async function openVhdx(
  reader: RangeReader,
  options: CallOptions & { path?: string } = {},
): Promise<VhdxDisk> {
  const structure = await readStructure(reader, options.path ?? 'the file', options);
  if (structure.metadata.parentLocator) throw vhdxFaults.needsParent({ path: structure.path });
  return diskOf([structure], options);
}

async function diskOf(files: readonly Structure[], options: CallOptions): Promise<VhdxDisk> {
  const cache = new PageCache();
  const layers: Layer[] = [];
  for (const structure of files) layers.push(await Layer.open(structure, cache, options));
  return new VhdxDisk(layers);
}

function checkSectors(child: Structure, parent: Structure): void {
  const size = child.metadata.logicalSectorSize;
  const parentSize = parent.metadata.logicalSectorSize;
  if (size === parentSize) return;
  throw vhdxFaults.sectorSizesDiffer({ path: child.path, parent: parent.path, size, parentSize });
}
