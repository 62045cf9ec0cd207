/**
 * The tables of a new file, where Windows puts them:
 *
 *   1 MiB log (1 MiB) | 2 MiB metadata (1 MiB) | 3 MiB BAT | payload
 *
 * The file identifier is written last and after a flush, so that an interrupted creation leaves no VHDX at all.
 */
import { MiB, NIL_GUID, newGuid } from '../base/index.ts';
import type { LocalFile } from '../disk/index.ts';
import { BatGeometry } from './bat.ts';
import { vhdxFaults } from './faults.ts';
import {
  BAT_ENTRY_SIZE,
  FILE_SIGNATURE,
  HAS_PARENT,
  HEADER_OFFSETS,
  HEADER_SIGNATURE,
  ITEM,
  ITEM_IS_REQUIRED,
  ITEM_IS_VIRTUAL_DISK,
  LEAVE_BLOCKS_ALLOCATED,
  METADATA_SIGNATURE,
  METADATA_TABLE_SIZE,
  REGION,
  REGION_TABLE_OFFSETS,
  fileIdentifier,
  fileParameters,
  logicalSectorSize,
  metadataEntry,
  metadataTableHeader,
  physicalSectorSize,
  virtualDiskId,
  virtualDiskSize,
} from './format.ts';
import { headerBytes } from './header.ts';
import { locatorBytes } from './locator.ts';
import { isBlockSize, isDiskSize, isSectorSize, type Metadata } from './metadata.ts';
import { regionTableBytes, type Region } from './region.ts';

const CREATOR = 'hvlift';
const LOG_OFFSET = MiB;
const LOG_LENGTH = MiB;
const METADATA: Region = { guid: REGION.metadata, fileOffset: 2 * MiB, length: MiB };

export interface Layout {
  readonly metadata: Metadata;
  readonly geometry: BatGeometry;
  readonly bat: Region;
  /** The first byte after the tables. */
  readonly payloadOffset: number;
}

/** Where everything goes; refuses a shape that the format does not know (`VHDX_BAD_SHAPE`). */
export function layoutOf(metadata: Metadata): Layout {
  const bad = (what: string, value: number): Error => vhdxFaults.badShape({ what, value });
  if (!isBlockSize(metadata.blockSize)) throw bad('block size', metadata.blockSize);
  if (!isSectorSize(metadata.logicalSectorSize)) throw bad('logical sector size', metadata.logicalSectorSize);
  if (!isSectorSize(metadata.physicalSectorSize))
    throw bad('physical sector size', metadata.physicalSectorSize);
  if (!isDiskSize(metadata.size, metadata.logicalSectorSize)) throw bad('size', metadata.size);
  const geometry = new BatGeometry(metadata);
  const length = Math.ceil((geometry.entries * BAT_ENTRY_SIZE) / MiB) * MiB;
  const bat = { guid: REGION.bat, fileOffset: METADATA.fileOffset + METADATA.length, length };
  return { metadata, geometry, bat, payloadOffset: bat.fileOffset + bat.length };
}

/** Writes all tables but the BAT, and makes the file a VHDX. The file must already have its BAT and full length. */
export async function writeTables(file: LocalFile, layout: Layout): Promise<void> {
  await file.write(METADATA.fileOffset, metadataBytes(layout.metadata));
  for (const offset of REGION_TABLE_OFFSETS) {
    await file.write(offset, regionTableBytes([layout.bat, METADATA]));
  }
  const identity = { fileWriteGuid: newGuid(), dataWriteGuid: newGuid() };
  for (const [slot, offset] of HEADER_OFFSETS.entries()) {
    await file.write(
      offset,
      headerBytes({
        ...identity,
        signature: HEADER_SIGNATURE,
        checksum: 0,
        sequenceNumber: BigInt(slot + 1),
        logGuid: NIL_GUID,
        logVersion: 0,
        version: 1,
        logLength: LOG_LENGTH,
        logOffset: LOG_OFFSET,
      }),
    );
  }
  await file.sync();
  await file.write(0, identifierBytes());
  await file.sync();
}

function identifierBytes(): Uint8Array {
  const bytes = new Uint8Array(fileIdentifier.fields.creator.offset + fileIdentifier.fields.creator.size);
  fileIdentifier.write(bytes, {
    signature: FILE_SIGNATURE,
    creator: Buffer.from(CREATOR.padEnd(256, '\0'), 'utf16le'),
  });
  return bytes;
}

function metadataBytes(metadata: Metadata): Uint8Array {
  const items = itemsOf(metadata);
  const size = items.reduce((sum, [, bytes]) => sum + aligned8(bytes.length), METADATA_TABLE_SIZE);
  const region = new Uint8Array(size);
  metadataTableHeader.write(region, { signature: METADATA_SIGNATURE, entryCount: items.length });
  let offset = METADATA_TABLE_SIZE;
  items.forEach(([itemId, bytes, flags], index) => {
    const at = metadataTableHeader.size + index * metadataEntry.size;
    metadataEntry.write(region, { itemId, offset, length: bytes.length, flags }, at);
    region.set(bytes, offset);
    offset += aligned8(bytes.length);
  });
  return region;
}

/** GUID, bytes and flags of each item, in the order Windows writes them. */
function itemsOf(metadata: Metadata): [string, Uint8Array, number][] {
  const disk = ITEM_IS_REQUIRED | ITEM_IS_VIRTUAL_DISK;
  const { blockSize, size, kind, parentLocator } = metadata;
  const flags = { fixed: LEAVE_BLOCKS_ALLOCATED, dynamic: 0, differencing: HAS_PARENT }[kind];
  const items: [string, Uint8Array, number][] = [
    [ITEM.fileParameters, bytesOf(fileParameters, { blockSize, flags }), ITEM_IS_REQUIRED],
    [ITEM.virtualDiskSize, bytesOf(virtualDiskSize, { size }), disk],
    [ITEM.virtualDiskId, bytesOf(virtualDiskId, { id: metadata.virtualDiskId }), disk],
    [ITEM.logicalSectorSize, bytesOf(logicalSectorSize, { size: metadata.logicalSectorSize }), disk],
    [ITEM.physicalSectorSize, bytesOf(physicalSectorSize, { size: metadata.physicalSectorSize }), disk],
  ];
  if (parentLocator) items.push([ITEM.parentLocator, locatorBytes(parentLocator), ITEM_IS_REQUIRED]);
  return items;
}

function bytesOf<V>(
  layout: { size: number; write(bytes: Uint8Array, values: V): void },
  values: V,
): Uint8Array {
  const bytes = new Uint8Array(layout.size);
  layout.write(bytes, values);
  return bytes;
}

function aligned8(length: number): number {
  return Math.ceil(length / 8) * 8;
}
