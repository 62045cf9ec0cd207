/** New files: dynamic, fixed, differencing. Sparse: neither kind writes payload. */
import { resolve } from 'node:path';
import { KiB, MiB, newGuid } from '../base/index.ts';
import { relativeParentPath, type ParentLocator } from '../chain/index.ts';
import { LocalFile, reading } from '../disk/index.ts';
import { FixedRooms } from './block-rooms.ts';
import { vhdxFaults } from './faults.ts';
import { writeTables, layoutOf, type Layout } from './layout.ts';
import type { Metadata } from './metadata.ts';
import { readVhdxInfo } from './structure.ts';

export interface VhdxShapeOptions {
  /** Bytes; whole logical sectors, up to 64 TiB. */
  readonly size: number;
  /** Default 32 MiB, as New-VHD: fewer entries for the same disk. */
  readonly blockSize?: number;
  /** 512 (default) or 4096. */
  readonly logicalSectorSize?: number;
  /** 4096 (default) or 512. */
  readonly physicalSectorSize?: number;
  readonly virtualDiskId?: string;
}

export interface CreateVhdxOptions extends VhdxShapeOptions {
  readonly kind: 'dynamic' | 'fixed';
}

export interface CreateDifferencingOptions {
  /** An existing VHDX; it must not be written any more while the child lives. */
  readonly parentPath: string;
  /** As the file shall say it, with backslashes. Default: from the child's folder to `parentPath`. */
  readonly relativePath?: string;
  /** Where Windows finds the parent. Default: `parentPath`, when it is such a path. */
  readonly absolutePath?: string;
  readonly volumePath?: string;
  /** Default 2 MiB, as in checkpoints, whatever the parent has. */
  readonly blockSize?: number;
}

/** Creates a VHDX of zeros. Faults: `VHDX_BAD_SHAPE`, `VHDX_FILE_EXISTS`, `DISK_NO_SPACE`. */
export async function createVhdx(path: string, options: CreateVhdxOptions): Promise<void> {
  await createFile(path, layoutOf(metadataOf(options, options.kind)));
}

/** Creates an empty child of a VHDX: same size, sectors and disk id. Faults: those of opening the parent, and of creation. */
export async function createDifferencingVhdx(
  path: string,
  options: CreateDifferencingOptions,
): Promise<void> {
  await createFile(path, layoutOf(await childMetadata(path, options)));
}

/** What a child at `path` says about itself. Faults: those of opening the parent. */
export async function childMetadata(path: string, options: CreateDifferencingOptions): Promise<Metadata> {
  const parent = await reading(options.parentPath, (reader) =>
    readVhdxInfo(reader, { path: options.parentPath }),
  );
  return {
    size: parent.size,
    kind: 'differencing',
    blockSize: options.blockSize ?? 2 * MiB,
    logicalSectorSize: parent.logicalSectorSize,
    physicalSectorSize: parent.physicalSectorSize,
    virtualDiskId: parent.virtualDiskId,
    parentLocator: locatorOf(path, parent.dataWriteGuid, options),
  };
}

function locatorOf(path: string, parentLinkage: string, options: CreateDifferencingOptions): ParentLocator {
  const relativePath = options.relativePath ?? relativeParentPath(path, options.parentPath);
  const absolutePath = options.absolutePath ?? absoluteWindowsPath(options.parentPath);
  return {
    parentLinkage,
    ...(relativePath === undefined ? {} : { relativePath }),
    ...(options.volumePath === undefined ? {} : { volumePath: options.volumePath }),
    ...(absolutePath === undefined ? {} : { absolutePath }),
  };
}

/** Windows writes it besides the relative path, and for a parent on another drive it is the only one that leads there. */
function absoluteWindowsPath(path: string): string | undefined {
  const isAbsolute = (each: string): boolean => /^([a-z]:|\\\\)/i.test(each);
  return [path, resolve(path)].find(isAbsolute);
}

export function metadataOf(options: VhdxShapeOptions, kind: 'dynamic' | 'fixed'): Metadata {
  return {
    size: options.size,
    kind,
    blockSize: options.blockSize ?? 32 * MiB,
    logicalSectorSize: options.logicalSectorSize ?? 512,
    physicalSectorSize: options.physicalSectorSize ?? 4 * KiB,
    virtualDiskId: options.virtualDiskId ?? newGuid(),
  };
}

async function createFile(path: string, layout: Layout): Promise<void> {
  const file = await LocalFile.create(path, vhdxFaults.fileExists);
  try {
    await file.extend(layout.payloadOffset);
    if (layout.metadata.kind === 'fixed') await file.extend(await new FixedRooms(file, layout).finish());
    await writeTables(file, layout);
    await file.close();
  } catch (error) {
    await file.discard();
    throw error;
  }
}
