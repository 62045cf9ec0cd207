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
import type { CallOptions } from '../disk/index.ts';
import { inFile, vhdxFaults } from './faults.ts';
import { ITEM } from './format.ts';
import { HeaderWriter } from './header.ts';
import { Layer, LayerRuns, type DataRun } from './layer.ts';
import { LocalFile, reading } from './local-file.ts';
import { isParent, linkage2Place, linkageText, type ParentLocator } from './locator.ts';
import { readItemPlaces } from './metadata.ts';
import { PageCache } from './pages.ts';
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
  // A log in the child is replayed into it first: after step 1 its headers would no longer name it.
  await (await openVhdxWritable(options.child)).close();
  const child = await LocalFile.open(options.child);
  try {
    const structure = await readStructure(child, options.child, options);
    const locator = structure.metadata.parentLocator;
    if (!locator) throw vhdxFaults.parentMismatch({ path: options.child, parent: options.parent });
    await checkParent(options, structure, locator);
    if (locator.parentLinkage2 !== undefined) return locator.parentLinkage2;
    const dataWriteGuid = newGuid();
    await inFile(options.child, () => writeLinkage2(child, structure, dataWriteGuid));
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

/** In place: the value has the same length before and after. */
async function writeLinkage2(child: LocalFile, structure: Structure, guid: string): Promise<void> {
  const places = await readItemPlaces(structure.reader, structure.regions.metadata, {});
  const item = places.get(ITEM.parentLocator)!;
  const bytes = new Uint8Array(item.length);
  await structure.reader.read(item.fileOffset, bytes);
  const at = linkage2Place(bytes);
  if (at === undefined) throw vhdxFaults.linkageMissing();
  await new HeaderWriter(child, structure.header).update({ fileWriteGuid: newGuid() });
  await child.write(item.fileOffset + at, linkageText(guid));
  await child.sync();
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
