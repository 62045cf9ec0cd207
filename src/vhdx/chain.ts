/**
 * Finding and opening the files of a chain: leaf, its parent, the parent's parent ... down to the base.
 *
 * A parent is accepted by identity alone: its DataWriteGuid must be the one its child names. Whatever was opened is closed
 * again when the chain cannot be completed.
 */
import { isFault } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { VhdxDisk } from './disk.ts';
import { inFile, vhdxFaults } from './faults.ts';
import { Layer } from './layer.ts';
import { defaultParentPaths, isParent, type ParentLocator } from './locator.ts';
import { PageCache } from './pages.ts';
import { readStructure, type Structure } from './structure.ts';

/** A guard against chains without end; Hyper-V itself allows 50 checkpoints of a VM. */
const CHAIN_LENGTH_MAX = 256;

export interface OpenChainOptions extends CallOptions {
  /** Opens one file. It is called with paths that come from files, and decides which of them it is willing to open. */
  readonly open: (path: string) => Promise<RangeReader>;
  /** Where a child's parent may be, best first. Default: the relative path beside the child, then the absolute ones. */
  readonly parentPaths?: (childPath: string, locator: ParentLocator) => string[];
}

/**
 * Opens the VHDX at `path` with all its parents. Faults: any of `VHDX_`; what `open` throws for `path` itself passes
 * through, for a parent it becomes the cause of `VHDX_PARENT_MISSING` unless a retry may help.
 */
export async function openVhdxChain(path: string, options: OpenChainOptions): Promise<VhdxDisk> {
  const opened: Structure[] = [];
  try {
    await inFile(path, () => openStructures(path, options, opened));
    const cache = new PageCache();
    const layers: Layer[] = [];
    for (const structure of opened) layers.push(await Layer.open(structure, cache, options));
    return new VhdxDisk(layers);
  } catch (error) {
    await Promise.allSettled(opened.map(({ reader }) => reader.close()));
    throw error;
  }
}

/** Opens one file that has no parent. A differencing disk is `VHDX_NEEDS_PARENT`. On a fault `reader` stays open. */
export async function openVhdx(
  reader: RangeReader,
  options: CallOptions & { path?: string } = {},
): Promise<VhdxDisk> {
  const structure = await readStructure(reader, options.path ?? 'the file', options);
  if (structure.metadata.parentLocator) throw vhdxFaults.needsParent({ path: structure.path });
  return new VhdxDisk([await Layer.open(structure, new PageCache(), options)]);
}

async function openStructures(path: string, options: OpenChainOptions, opened: Structure[]): Promise<void> {
  opened.push(await openOne(path, options));
  for (;;) {
    const child = opened.at(-1)!;
    const locator = child.metadata.parentLocator;
    if (!locator) return;
    if (opened.length === CHAIN_LENGTH_MAX) throw vhdxFaults.chainTooDeep({ maximum: CHAIN_LENGTH_MAX });
    const parent = await openParent(child, locator, options, opened);
    opened.push(parent);
    checkSectors(child, parent);
  }
}

async function openOne(path: string, options: OpenChainOptions): Promise<Structure> {
  options.signal?.throwIfAborted();
  const reader = await options.open(path);
  try {
    return await readStructure(reader, path, options);
  } catch (error) {
    await reader.close();
    throw error;
  }
}

async function openParent(
  child: Structure,
  locator: ParentLocator,
  options: OpenChainOptions,
  opened: readonly Structure[],
): Promise<Structure> {
  const candidates = [...new Set((options.parentPaths ?? defaultParentPaths)(child.path, locator))];
  const failures = new ParentFailures(child.path, candidates);
  for (const path of candidates) {
    const candidate = await openOne(path, options).catch((error: unknown) => failures.add(error, options));
    if (!candidate) continue;
    if (isParent(locator, candidate.header.dataWriteGuid)) {
      if (!opened.some((other) => isSameFile(other, candidate))) return candidate;
      await candidate.reader.close();
      throw vhdxFaults.chainCycle({ path: opened[0]!.path });
    }
    await candidate.reader.close();
    failures.mismatch(path);
  }
  throw failures.worst();
}

/** Why none of the candidates was the parent. What says most is reported: a broken file, a wrong file, none at all. */
class ParentFailures {
  readonly #childPath: string;
  readonly #tried: readonly string[];
  #broken: unknown;
  #mismatch: unknown;
  #missing: unknown;

  constructor(childPath: string, tried: readonly string[]) {
    this.#childPath = childPath;
    this.#tried = tried;
  }

  /** Records a candidate that did not open; throws on when trying again may help, or when cancelled. */
  add(error: unknown, options: CallOptions): undefined {
    if (options.signal?.aborted || (isFault(error) && error.kind === 'retry')) throw error;
    if (isFault(error) && error.code.startsWith('VHDX_')) this.#broken ??= error;
    else this.#missing ??= error;
  }

  mismatch(parent: string): void {
    this.#mismatch ??= vhdxFaults.parentMismatch({ path: this.#childPath, parent });
  }

  worst(): unknown {
    return (
      this.#broken ??
      this.#mismatch ??
      vhdxFaults.parentMissing(
        { path: this.#childPath, tried: this.#tried.join(', ') || 'no path is given' },
        { cause: this.#missing },
      )
    );
  }
}

/** By path, and by both identities of the header, which two files share only as copies of each other. */
function isSameFile(a: Structure, b: Structure): boolean {
  const sameGuids =
    a.header.fileWriteGuid === b.header.fileWriteGuid && a.header.dataWriteGuid === b.header.dataWriteGuid;
  return a.path === b.path || sameGuids;
}

function checkSectors(child: Structure, parent: Structure): void {
  const size = child.metadata.logicalSectorSize;
  const parentSize = parent.metadata.logicalSectorSize;
  if (size === parentSize) return;
  throw vhdxFaults.sectorSizesDiffer({ path: child.path, parent: parent.path, size, parentSize });
}
