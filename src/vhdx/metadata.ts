/** The metadata region: what the virtual disk is (MS-VHDX 2.6). */
import type { Fault } from '../base/index.ts';
import type { ParentLocator } from '../chain/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { refuse, reported, vhdxFaults, type Report } from './faults.ts';
import {
  BLOCK_SIZE_MAX,
  BLOCK_SIZE_MIN,
  DISK_SIZE_MAX,
  HAS_PARENT,
  ITEM,
  ITEM_IS_REQUIRED,
  ITEM_IS_USER,
  LEAVE_BLOCKS_ALLOCATED,
  METADATA_ENTRIES_MAX,
  METADATA_ITEM_SIZE_MAX,
  METADATA_SIGNATURE,
  METADATA_TABLE_SIZE,
  USER_ITEMS_MAX,
  fileParameters,
  logicalSectorSize,
  metadataEntry,
  metadataTableHeader,
  parse,
  physicalSectorSize,
  virtualDiskId,
  virtualDiskSize,
} from './format.ts';
import { parseLocator } from './locator.ts';
import type { Region } from './region.ts';

export type VhdxKind = 'fixed' | 'dynamic' | 'differencing';

export interface DiskShape {
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly kind: VhdxKind;
  readonly blockSize: number;
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
  /** The same in parent and child: it names the disk, not the file. */
  readonly virtualDiskId: string;
}

export interface Metadata extends DiskShape {
  readonly parentLocator?: ParentLocator;
}

/** Where an item's bytes lie in the file. */
export interface ItemPlace {
  readonly item: string;
  readonly fileOffset: number;
  readonly length: number;
}

const KNOWN = new Set<string>(Object.values(ITEM));
/** Items of users have names of their own, which may be those of known ones. */
const USER = 'user ';

export async function readMetadata(
  reader: RangeReader,
  region: Region,
  options: CallOptions,
  report: Report = refuse,
): Promise<Metadata> {
  const places = await readItemPlaces(reader, region, options, report);
  const item = async (name: keyof typeof ITEM, length?: number): Promise<Uint8Array> =>
    readItem(reader, places, ITEM[name], length, options);
  const parameters = fileParameters.read(await item('fileParameters', fileParameters.size));
  checkFlags(parameters.flags, report);
  const size = parse(virtualDiskSize, await item('virtualDiskSize', virtualDiskSize.size));
  const shape: DiskShape = {
    size: size.size,
    kind: kindOf(parameters.flags),
    blockSize: parameters.blockSize,
    logicalSectorSize: logicalSectorSize.read(await item('logicalSectorSize', logicalSectorSize.size)).size,
    physicalSectorSize: physicalSectorSize.read(await item('physicalSectorSize', physicalSectorSize.size))
      .size,
    virtualDiskId: virtualDiskId.read(await item('virtualDiskId', virtualDiskId.size)).id,
  };
  checkShape(shape);
  if (shape.kind !== 'differencing') return shape;
  const parentLocator = await reported(report, async () => parseLocator(await item('parentLocator')));
  return parentLocator ? { ...shape, parentLocator } : shape;
}

/** Where each item lies, by item GUID; the table is checked as a whole. */
export async function readItemPlaces(
  reader: RangeReader,
  region: Region,
  options: CallOptions,
  report: Report = refuse,
): Promise<Map<string, ItemPlace>> {
  const table = new Uint8Array(METADATA_TABLE_SIZE);
  await reader.read(region.fileOffset, table, options);
  const { signature, entryCount: count } = metadataTableHeader.read(table);
  if (signature !== METADATA_SIGNATURE) throw vhdxFaults.metadataSignature();
  if (count > METADATA_ENTRIES_MAX) throw vhdxFaults.tooManyItems({ count });
  const places = new Map<string, ItemPlace>();
  for (let index = 0; index < count; index += 1) {
    const entry = metadataEntry.read(table, metadataTableHeader.size + index * metadataEntry.size);
    const defect = itemDefect(entry, region.length);
    if (defect) {
      report(defect);
      continue;
    }
    const key = (entry.flags & ITEM_IS_USER) === 0 ? entry.itemId : USER + entry.itemId;
    if (places.has(key)) {
      report(vhdxFaults.itemTwice({ item: entry.itemId }));
      continue;
    }
    const fileOffset = region.fileOffset + entry.offset;
    places.set(key, { item: entry.itemId, fileOffset, length: entry.length });
  }
  checkDisjoint([...places.values()], report);
  const users = [...places.keys()].filter((key) => key.startsWith(USER)).length;
  if (users > USER_ITEMS_MAX) report(vhdxFaults.tooManyUserItems({ count: users }));
  return places;
}

function itemDefect(
  entry: { itemId: string; offset: number; length: number; flags: number },
  regionLength: number,
): Fault | undefined {
  const { itemId: item, offset, length } = entry;
  // An empty item has no place: length and offset are both zero.
  const placed = offset >= METADATA_TABLE_SIZE && offset + length <= regionLength;
  if (length > METADATA_ITEM_SIZE_MAX || (length > 0 && !placed)) {
    return vhdxFaults.itemPlace({ item, offset, length });
  }
  const system = (entry.flags & ITEM_IS_USER) === 0;
  if (system && item === ITEM.incompleteFile) return vhdxFaults.incompleteFile();
  const unknown = system && (entry.flags & ITEM_IS_REQUIRED) !== 0 && !KNOWN.has(item);
  return unknown ? vhdxFaults.unknownItem({ item }) : undefined;
}

function checkDisjoint(places: readonly ItemPlace[], report: Report): void {
  const sorted = places.filter((p) => p.length > 0).sort((a, b) => a.fileOffset - b.fileOffset);
  sorted.slice(1).forEach((place, index) => {
    const before = sorted[index]!;
    if (before.fileOffset + before.length > place.fileOffset) {
      report(vhdxFaults.itemsOverlap({ one: before.item, other: place.item }));
    }
  });
}

async function readItem(
  reader: RangeReader,
  places: ReadonlyMap<string, ItemPlace>,
  item: string,
  expected: number | undefined,
  options: CallOptions,
): Promise<Uint8Array> {
  const place = places.get(item);
  if (!place) throw vhdxFaults.itemMissing({ item });
  if (expected !== undefined && place.length !== expected) {
    throw vhdxFaults.itemLength({ item, length: place.length, expected });
  }
  const bytes = new Uint8Array(place.length);
  await reader.read(place.fileOffset, bytes, options);
  return bytes;
}

function checkFlags(flags: number, report: Report): void {
  if ((flags & ~(LEAVE_BLOCKS_ALLOCATED | HAS_PARENT)) !== 0) report(vhdxFaults.fileParameters({ flags }));
}

function kindOf(flags: number): VhdxKind {
  if ((flags & HAS_PARENT) !== 0) return 'differencing';
  return (flags & LEAVE_BLOCKS_ALLOCATED) !== 0 ? 'fixed' : 'dynamic';
}

function checkShape(shape: DiskShape): void {
  const { size, blockSize } = shape;
  if (!isBlockSize(blockSize)) throw vhdxFaults.blockSize({ blockSize });
  for (const which of ['logical', 'physical'] as const) {
    const sector = shape[`${which}SectorSize`];
    if (!isSectorSize(sector)) throw vhdxFaults.sectorSize({ which, size: sector });
  }
  if (!isDiskSize(size, shape.logicalSectorSize)) throw vhdxFaults.diskSize({ size });
}

export function isBlockSize(size: number): boolean {
  return size >= BLOCK_SIZE_MIN && size <= BLOCK_SIZE_MAX && Number.isInteger(Math.log2(size));
}

export function isSectorSize(size: number): boolean {
  return size === 512 || size === 4096;
}

export function isDiskSize(size: number, sectorSize: number): boolean {
  return size > 0 && size <= DISK_SIZE_MAX && size % sectorSize === 0;
}
