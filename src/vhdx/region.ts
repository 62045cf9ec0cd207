/** The region table: where BAT and metadata lie (MS-VHDX 2.2.3). Two copies; one valid copy is enough. */
import { MiB } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { vhdxFaults } from './faults.ts';
import {
  HEADER_AREA_SIZE,
  REGION,
  REGION_ENTRIES_MAX,
  REGION_SIGNATURE,
  REGION_TABLE_OFFSETS,
  REGION_TABLE_SIZE,
  checksumOf,
  parse,
  regionEntry,
  regionTableHeader,
} from './format.ts';

export interface Region {
  readonly guid: string;
  /** Bytes, on whole MiB. */
  readonly fileOffset: number;
  readonly length: number;
}

export interface Regions {
  readonly bat: Region;
  readonly metadata: Region;
  /** Every region of the file, the unknown ones included: nothing else may lie there. */
  readonly all: readonly Region[];
}

/** A named byte range of the file. */
export interface Claim {
  readonly name: string;
  readonly fileOffset: number;
  readonly length: number;
}

/** Reads through the replayed log; `log` is the range the log itself occupies, if any. */
export async function readRegions(
  reader: RangeReader,
  log: Claim | undefined,
  options: CallOptions,
): Promise<Regions> {
  for (const offset of REGION_TABLE_OFFSETS) {
    const bytes = new Uint8Array(REGION_TABLE_SIZE);
    await reader.read(offset, bytes, options);
    if (isValid(bytes)) return regionsOf(bytes, log, reader.size);
  }
  throw vhdxFaults.noValidRegionTable();
}

function isValid(bytes: Uint8Array): boolean {
  const { signature, checksum } = regionTableHeader.read(bytes);
  return signature === REGION_SIGNATURE && checksum === checksumOf(bytes);
}

function regionsOf(bytes: Uint8Array, log: Claim | undefined, fileSize: number): Regions {
  const all = entriesOf(bytes, fileSize);
  const claims = all.map((region) => ({ ...region, name: `region ${region.guid}` }));
  checkDisjoint(log ? [...claims, log] : claims);
  return {
    bat: found(all, REGION.bat, 'block table'),
    metadata: found(all, REGION.metadata, 'metadata'),
    all,
  };
}

function entriesOf(bytes: Uint8Array, fileSize: number): Region[] {
  const { entryCount: count } = regionTableHeader.read(bytes);
  if (count > REGION_ENTRIES_MAX) throw vhdxFaults.tooManyRegions({ count });
  const seen = new Set<string>();
  return Array.from({ length: count }, (_, index) => {
    const entry = parse(regionEntry, bytes, regionTableHeader.size + index * regionEntry.size);
    checkPlace(entry, fileSize);
    if (seen.has(entry.guid)) throw vhdxFaults.regionTwice({ guid: entry.guid });
    seen.add(entry.guid);
    const known = entry.guid === REGION.bat || entry.guid === REGION.metadata;
    if (!known && (entry.flags & 1) !== 0) throw vhdxFaults.unknownRegion({ guid: entry.guid });
    return { guid: entry.guid, fileOffset: entry.fileOffset, length: entry.length };
  });
}

function checkPlace(region: Region, fileSize: number): void {
  const { guid, fileOffset: offset, length } = region;
  const aligned = offset % MiB === 0 && length % MiB === 0;
  if (!aligned || length === 0 || offset < HEADER_AREA_SIZE)
    throw vhdxFaults.regionPlace({ guid, offset, length });
  if (offset + length > fileSize) {
    throw vhdxFaults.truncated({ size: fileSize, what: `region ${guid}`, end: offset + length });
  }
}

function checkDisjoint(claims: readonly Claim[]): void {
  const sorted = claims.toSorted((a, b) => a.fileOffset - b.fileOffset);
  sorted.slice(1).forEach((claim, index) => {
    const before = sorted[index]!;
    if (before.fileOffset + before.length > claim.fileOffset) {
      throw vhdxFaults.regionsOverlap({ one: before.name, other: claim.name });
    }
  });
}

function found(all: readonly Region[], guid: string, name: string): Region {
  const region = all.find((candidate) => candidate.guid === guid);
  if (!region) throw vhdxFaults.regionMissing({ name });
  return region;
}

/** The 64 KiB of a region table, checksum included; every region in it is required. */
export function regionTableBytes(regions: readonly Region[]): Uint8Array {
  const bytes = new Uint8Array(REGION_TABLE_SIZE);
  regionTableHeader.write(bytes, { signature: REGION_SIGNATURE, entryCount: regions.length });
  regions.forEach((region, index) => {
    regionEntry.write(bytes, { ...region, flags: 1 }, regionTableHeader.size + index * regionEntry.size);
  });
  regionTableHeader.write(bytes, { checksum: checksumOf(bytes) });
  return bytes;
}
