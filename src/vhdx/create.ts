/** New files: dynamic, fixed, differencing. Sparse: neither kind writes payload. */
import { KiB, MiB, newGuid } from '../base/index.ts';
import { relativeParentPath, type ParentLocator } from '../chain/index.ts';
import { LocalFile, reading } from '../disk/index.ts';
import { BlockTableWriter } from './block-table-writer.ts';
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
  const parent = await reading(options.parentPath, (reader) =>
    readVhdxInfo(reader, { path: options.parentPath }),
  );
  const metadata: Metadata = {
    size: parent.size,
    kind: 'differencing',
    blockSize: options.blockSize ?? 2 * MiB,
    logicalSectorSize: parent.logicalSectorSize,
    physicalSectorSize: parent.physicalSectorSize,
    virtualDiskId: parent.virtualDiskId,
    parentLocator: locatorOf(path, parent.dataWriteGuid, options),
  };
  await createFile(path, layoutOf(metadata));
}

function locatorOf(path: string, parentLinkage: string, options: CreateDifferencingOptions): ParentLocator {
  const relativePath = options.relativePath ?? relativeParentPath(path, options.parentPath);
  // A parent on another drive has no relative path, and one of the paths must lead to it.
  const absolutePath = options.absolutePath ?? (relativePath === undefined ? options.parentPath : undefined);
  return {
    parentLinkage,
    ...(relativePath === undefined ? {} : { relativePath }),
    ...(options.volumePath === undefined ? {} : { volumePath: options.volumePath }),
    ...(absolutePath === undefined ? {} : { absolutePath }),
  };
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
    if (layout.metadata.kind === 'fixed') await placeAllBlocks(file, layout);
    await writeTables(file, layout);
    await file.close();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

async function placeAllBlocks(file: LocalFile, layout: Layout): Promise<void> {
  const { blockSize, payloadBlocks } = layout.geometry;
  const table = new BlockTableWriter(file, layout);
  for (let block = 0; block < payloadBlocks; block += 1) {
    const full = table.place(block, layout.payloadOffset + block * blockSize);
    if (full) await full;
  }
  await table.finish();
  await file.extend(layout.payloadOffset + payloadBlocks * blockSize);
}
