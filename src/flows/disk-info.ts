/**
 * What a disk file is: what its headers say, what it takes up, the chain under it, and what lies beside it.
 *
 * A file whose parent is missing is told of all the same: the chain as far as it was found, and the fault as a warning.
 */
import { stat } from 'node:fs/promises';
import { isFault, warningOf, type Warning } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Geometry, VhdInfo } from '../vhd/index.ts';
import type { ReplayInfo, VhdxInfo } from '../vhdx/index.ts';
import {
  readVirtualDiskInfo,
  type DiskFormat,
  type ParentLocator,
  type VirtualDiskInfo,
} from '../virtualdisk/index.ts';
import { runsOf } from './disk-map.ts';
import { LocalDisk, openLocalFile, ParentPlaces, type FoundBy, type LocalDiskOptions } from './local-disk.ts';
import { noteWarnings } from './vhd-note-warnings.ts';

/** One file. What its format does not have is left out. Sizes are bytes. */
export interface DiskFileInfo {
  readonly path: string;
  readonly foundBy: FoundBy;
  readonly format: DiskFormat;
  readonly kind?: 'fixed' | 'dynamic' | 'differencing';
  readonly virtualBytes: number;
  readonly fileBytes: number;
  /** Room that the file takes on its volume: less than `fileBytes` when it is sparse. */
  readonly occupiedBytes: number;
  readonly blockSize?: number;
  readonly logicalSectorSize?: number;
  readonly physicalSectorSize?: number;
  /** VHDX: names the virtual disk, the same along a chain. */
  readonly virtualDiskId?: string;
  /** VHDX: names the content; a child knows its parent by it. */
  readonly dataWriteGuid?: string;
  /** VHDX: changes whenever the file is opened to be written. */
  readonly fileWriteGuid?: string;
  /** VHD: names the file; a child knows its parent by it. */
  readonly uniqueId?: string;
  readonly creator?: string;
  /** VHD: ISO 8601. */
  readonly created?: string;
  /** VHD. */
  readonly geometry?: Geometry;
  /** VHDX: absent when the log is empty, else what a replay writes. Everything here was read as if it had been written. */
  readonly replay?: ReplayInfo;
  /** What a differencing disk says about its parent. */
  readonly parent?: ParentLocator;
  /** Files of change tracking that lie beside it (`.rct`, `.mrt`). */
  readonly trackingFiles: readonly string[];
}

export interface DiskInfoRecord extends DiskFileInfo {
  /** Its parents, nearest first, as far as they were found. */
  readonly parents: readonly DiskFileInfo[];
  /** Bytes of the disk that this file holds. Absent, as the next, when the chain could not be opened. */
  readonly heldBytes?: number;
  /** Bytes of the disk that the chain holds. */
  readonly heldByChainBytes?: number;
  /** The chain cannot be read because a file of it is damaged, or a parent is not what its child names. */
  readonly damaged: boolean;
  readonly warnings: readonly Warning[];
}

/** Faults: those of opening the file itself and of reading its headers. What is wrong with its parents is a warning. */
export async function diskInfo(path: string, options: LocalDiskOptions = {}): Promise<DiskInfoRecord> {
  const [file, warnings] = await fileInfo({ path, foundBy: 'named' }, options);
  const chain = await chainInfo(path, options);
  const parents: DiskFileInfo[] = [];
  for (const found of chain.parents) {
    const [parent, more] = await fileInfo(found, options);
    parents.push(parent);
    warnings.push(...more);
  }
  const { held, damaged } = chain;
  return { ...file, ...held, parents, damaged, warnings: [...warnings, ...chain.warnings] };
}

interface Found {
  readonly path: string;
  readonly foundBy: FoundBy;
}

interface ChainInfo {
  readonly parents: readonly Found[];
  readonly held: Pick<DiskInfoRecord, 'heldBytes' | 'heldByChainBytes'>;
  readonly damaged: boolean;
  readonly warnings: readonly Warning[];
}

async function chainInfo(path: string, options: LocalDiskOptions): Promise<ChainInfo> {
  const places = new ParentPlaces(options.parentFolders);
  try {
    await using local = await LocalDisk.open(path, options, places);
    const held = {
      heldBytes: await heldBytes(local, { ...options, layer: 0 }),
      heldByChainBytes: await heldBytes(local, options),
    };
    return { parents: local.files.slice(1), held, damaged: false, warnings: [] };
  } catch (error) {
    if (!isFault(error) || (error.kind !== 'refused' && error.kind !== 'corrupt')) throw error;
    const parents = places.children.slice(1).map((name) => ({ path: name, foundBy: places.wayTo(name) }));
    return { parents, held: {}, damaged: error.kind === 'corrupt', warnings: [warningOf(error)] };
  }
}

async function heldBytes(local: LocalDisk, options: CallOptions & { layer?: number }): Promise<number> {
  const { runs, totals } = runsOf(local, options);
  for await (const run of runs) void run;
  return totals.data.bytes;
}

async function fileInfo(found: Found, options: CallOptions): Promise<[DiskFileInfo, Warning[]]> {
  const { path } = found;
  const reader = await openLocalFile(path);
  try {
    const { size, blocks } = await stat(path);
    const said = await readVirtualDiskInfo(reader, path, options);
    const info = {
      ...found,
      format: said.format,
      virtualBytes: said.info.size,
      fileBytes: size,
      occupiedBytes: blocks * 512,
      ...saidByFormat(said),
      trackingFiles: await trackingFilesOf(path),
    };
    return [info, said.format === 'vhd' ? noteWarnings(path, said.info.notes) : []];
  } finally {
    await reader.close();
  }
}

function saidByFormat(said: VirtualDiskInfo): Partial<DiskFileInfo> {
  if (said.format === 'raw') return {};
  return said.format === 'vhdx' ? saidByVhdx(said.info) : saidByVhd(said.info);
}

function saidByVhdx(info: VhdxInfo): Partial<DiskFileInfo> {
  const { kind, blockSize, logicalSectorSize, physicalSectorSize, virtualDiskId, creator } = info;
  const { dataWriteGuid, fileWriteGuid, replay, parentLocator } = info;
  return {
    kind,
    blockSize,
    logicalSectorSize,
    physicalSectorSize,
    virtualDiskId,
    dataWriteGuid,
    fileWriteGuid,
    creator,
    ...(replay ? { replay } : {}),
    ...(parentLocator ? { parent: parentLocator } : {}),
  };
}

function saidByVhd({ kind, blockSize, uniqueId, creator, created, geometry, parent }: VhdInfo) {
  return {
    kind,
    logicalSectorSize: 512,
    uniqueId,
    creator,
    created: created.toISOString(),
    geometry,
    ...(blockSize === undefined ? {} : { blockSize }),
    ...(parent ? { parent } : {}),
  };
}

/** Windows keeps them as `<disk>.rct` and `<disk>.mrt`; what is in them it publishes nowhere. */
async function trackingFilesOf(path: string): Promise<string[]> {
  const names = ['rct', 'mrt'].map((extension) => `${path}.${extension}`);
  const there = await Promise.all(names.map((name) => stat(name).catch(() => undefined)));
  return names.filter((_, index) => there[index]?.isFile());
}
