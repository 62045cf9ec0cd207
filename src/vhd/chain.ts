/**
 * Finding and opening the files of a chain: leaf, its parent, the parent's parent ... down to the base.
 *
 * A parent is accepted by identity alone: its `uniqueId` must be the one its child names. VHD has no mark that changes with
 * the content, so a parent that was written after its child was made is not told from the right one; Hyper-V does not
 * compare the parent's timestamp either, and Windows 10 leaves it zero.
 */
import { isFault } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { defaultParentPaths, type OpenChainOptions, type ParentLocator } from '../vhdx/index.ts';
import { BitmapCache } from './bitmap-cache.ts';
import { VhdDisk } from './disk.ts';
import { vhdFaults } from './faults.ts';
import { openLayer, type Layer } from './layer.ts';
import { readStructure, type Structure } from './structure.ts';

/** A guard against chains without end; Hyper-V itself allows 50 checkpoints of a VM. */
const CHAIN_LENGTH_MAX = 256;

/**
 * Opens the VHD at `path` with all its parents, which must be VHD files as well. The locator given to `parentPaths` has the
 * parent's `uniqueId` as its linkage. Faults: any of `VHD_`; what `open` throws for `path` itself passes through, for a
 * parent it becomes the cause of `VHD_PARENT_MISSING` unless a retry may help.
 */
export async function openVhdChain(path: string, options: OpenChainOptions): Promise<VhdDisk> {
  const opened: Structure[] = [];
  try {
    await openStructures(path, options, opened);
    const cache = new BitmapCache();
    const layers: Layer[] = [];
    for (const structure of opened) layers.push(await openLayer(structure, cache, options));
    return new VhdDisk(layers);
  } catch (error) {
    await Promise.allSettled(opened.map(({ reader }) => reader.close()));
    throw error;
  }
}

/** Opens one file that has no parent. A differencing disk is `VHD_NEEDS_PARENT`. On a fault `reader` stays open. */
export async function openVhd(
  reader: RangeReader,
  options: CallOptions & { path?: string } = {},
): Promise<VhdDisk> {
  const structure = await readStructure(reader, options.path ?? 'the file', options);
  if (structure.parent) throw vhdFaults.needsParent({ path: structure.path });
  return new VhdDisk([await openLayer(structure, new BitmapCache(), options)]);
}

async function openStructures(path: string, options: OpenChainOptions, opened: Structure[]): Promise<void> {
  opened.push(await openOne(path, options));
  for (;;) {
    const child = opened.at(-1)!;
    if (!child.parent) return;
    if (opened.length === CHAIN_LENGTH_MAX) {
      throw vhdFaults.chainTooDeep({ path, maximum: CHAIN_LENGTH_MAX });
    }
    opened.push(await openParent(child, child.parent, options, opened));
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
    if (uniqueIdOf(candidate) === locator.parentLinkage) {
      if (!opened.some((other) => isSameFile(other, candidate))) return candidate;
      await candidate.reader.close();
      throw vhdFaults.chainCycle({ path: opened[0]!.path });
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
    if (isFault(error) && error.code.startsWith('VHD_')) this.#broken ??= error;
    else this.#missing ??= error;
  }

  mismatch(parent: string): void {
    this.#mismatch ??= vhdFaults.parentMismatch({ path: this.#childPath, parent });
  }

  worst(): unknown {
    return (
      this.#broken ??
      this.#mismatch ??
      vhdFaults.parentMissing(
        { path: this.#childPath, tried: this.#tried.join(', ') || 'no path is given' },
        { cause: this.#missing },
      )
    );
  }
}

/** By path, and by identity, which two files share only as copies of each other. */
function isSameFile(a: Structure, b: Structure): boolean {
  return a.path === b.path || uniqueIdOf(a) === uniqueIdOf(b);
}

function uniqueIdOf({ footer }: Structure): string {
  return footer.fields.uniqueId;
}
