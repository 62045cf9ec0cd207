/**
 * Merging a child into its parent, so that the child can be deleted.
 *
 *   1. child:  parent_linkage2 = G       the child accepts its parent under the old and under the new identity
 *   2. parent: DataWriteGuid   = G       before the first byte changes
 *   3. parent: everything the child holds, zeros included
 *
 * After a crash at any point the chain still opens, through the child it still reads as before, and merging again
 * completes it: step 3 writes the same bytes. Nothing else may stand on the parent meanwhile.
 */
import { MiB, mapOrdered, newGuid } from '../base/index.ts';
import { LayerRuns, type DataRun, type ParentLocator } from '../chain/index.ts';
import { LocalFile, reading, type CallOptions } from '../disk/index.ts';
import { inFile, vhdxFaults } from './faults.ts';
import { ITEM, LOG_SECTOR } from './format.ts';
import { HeaderWriter } from './header.ts';
import { Journal } from './journal.ts';
import { Layer } from './layer.ts';
import type { TableSector } from './log-entry.ts';
import { isParent, linkage2Place, linkageText } from './locator.ts';
import { readItemPlaces } from './metadata.ts';
import { PageCache } from './pages.ts';
import type { Claim } from './region.ts';
import { settledStructure } from './settle.ts';
import { readStructure, type Structure } from './structure.ts';
import { openVhdxWritable, type VhdxFile } from './vhdx-file.ts';

export interface MergeOptions extends CallOptions {
  /** Path of the differencing disk; it stays as it is, but for its locator. */
  readonly child: string;
  /** Path of its parent, which gets the child's content. */
  readonly parent: string;
}

/** What of the child is looked at, and copied, at a time. */
const WINDOW = 256 * MiB;
const COPY_SIZE = 4 * MiB;
const COPY_DEPTH = 4;

/** Faults: `VHDX_PARENT_MISMATCH`, `VHDX_MERGE_SIZES`, `VHDX_LINKAGE_MISSING`, and any of opening and writing the two. */
export async function mergeVhdx(options: MergeOptions): Promise<void> {
  const dataWriteGuid = await announce(options);
  await reading(options.child, async (reader) => {
    const structure = await readStructure(reader, options.child, options);
    const layer = await Layer.open(structure, new PageCache(), options);
    const parent = await openVhdxWritable(options.parent, { dataWriteGuid });
    try {
      await copyLayer(layer, parent, options);
    } finally {
      await parent.close();
    }
  });
}

/** Steps 0 and 1: the two belong together, and the child knows the identity its parent gets. Returns that identity. */
async function announce(options: MergeOptions): Promise<string> {
  const child = await LocalFile.open(options.child);
  try {
    const { structure, ring } = await settledStructure(child);
    const locator = structure.metadata.parentLocator;
    if (!locator) throw vhdxFaults.parentMismatch({ path: options.child, parent: options.parent });
    await checkParent(options, structure, locator);
    if (locator.parentLinkage2 !== undefined) return locator.parentLinkage2;
    const dataWriteGuid = newGuid();
    await inFile(options.child, () => writeLinkage2(child, structure, ring, dataWriteGuid));
    return dataWriteGuid;
  } finally {
    await child.close();
  }
}

async function checkParent(options: MergeOptions, child: Structure, locator: ParentLocator): Promise<void> {
  const parent = await reading(options.parent, (reader) => readStructure(reader, options.parent, options));
  if (!isParent(locator, parent.header.dataWriteGuid)) {
    throw vhdxFaults.parentMismatch({ path: options.child, parent: options.parent });
  }
  if (parent.metadata.size !== child.metadata.size) {
    throw vhdxFaults.mergeSizes({ child: options.child, parent: options.parent });
  }
}

/** Through the log: the value may lie across two sectors, and a locator of which one half is new names nothing. */
async function writeLinkage2(
  child: LocalFile,
  structure: Structure,
  ring: Claim,
  guid: string,
): Promise<void> {
  const places = await readItemPlaces(structure.reader, structure.regions.metadata, {});
  const item = places.get(ITEM.parentLocator)!;
  const start = Math.floor(item.fileOffset / LOG_SECTOR) * LOG_SECTOR;
  const end = Math.ceil((item.fileOffset + item.length) / LOG_SECTOR) * LOG_SECTOR;
  const bytes = new Uint8Array(end - start);
  await child.read(start, bytes);
  const locator = bytes.subarray(item.fileOffset - start, item.fileOffset - start + item.length);
  const at = linkage2Place(locator);
  if (at === undefined) throw vhdxFaults.linkageMissing();
  const text = linkageText(guid);
  locator.set(text, at);
  const journal = new Journal(child, new HeaderWriter(child, structure.header), ring);
  await journal.begin(sectorsOf(start, bytes, item.fileOffset + at, text.length), {
    fileWriteGuid: newGuid(),
  });
  await journal.end();
}

/** The sectors of `bytes`, which begin at `start` of the file, that hold a part of the `length` bytes at `fileOffset`. */
function sectorsOf(start: number, bytes: Uint8Array, fileOffset: number, length: number): TableSector[] {
  const first = Math.floor((fileOffset - start) / LOG_SECTOR) * LOG_SECTOR;
  const sectors: TableSector[] = [];
  for (let at = first; start + at < fileOffset + length; at += LOG_SECTOR) {
    sectors.push({ fileOffset: start + at, bytes: bytes.subarray(at, at + LOG_SECTOR) });
  }
  return sectors;
}

async function copyLayer(layer: Layer, parent: VhdxFile, options: CallOptions): Promise<void> {
  for (let at = 0; at < layer.size; at += WINDOW) {
    options.signal?.throwIfAborted();
    const runs = new LayerRuns();
    await layer.runs(at, Math.min(at + WINDOW, layer.size), runs, options);
    for (const zeros of runs.zeros) await parent.zero(zeros.offset, zeros.length);
    const read = async (run: DataRun): Promise<[number, Uint8Array]> => {
      const bytes = new Uint8Array(run.length);
      await layer.reader.read(run.fileOffset, bytes, options);
      return [run.offset, bytes];
    };
    for await (const [offset, bytes] of mapOrdered(copies(runs.data), COPY_DEPTH, read)) {
      await parent.write(offset, bytes);
    }
  }
}

function* copies(runs: readonly DataRun[]): Generator<DataRun> {
  for (const run of runs) {
    for (let at = 0; at < run.length; at += COPY_SIZE) {
      const length = Math.min(COPY_SIZE, run.length - at);
      yield { offset: run.offset + at, length, fileOffset: run.fileOffset + at };
    }
  }
}
