/** The region table: where BAT and metadata lie (MS-VHDX 2.2.3). Two copies; one valid copy is enough. */
import { MiB, type Fault } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { refuse, vhdxFaults, type Report } from './faults.ts';
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
  report: Report = refuse,
): Promise<Regions> {
  for (const offset of REGION_TABLE_OFFSETS) {
    const bytes = await readRegionTable(reader, offset, options);
    if (bytes) return regionsOf(bytes, log, reader.size, report);
  }
  throw vhdxFaults.noValidRegionTable();
}

/** Both copies; `undefined` for one that is damaged. */
export function readRegionTables(
  reader: RangeReader,
  options: CallOptions,
): Promise<(Uint8Array | undefined)[]> {
  return Promise.all(REGION_TABLE_OFFSETS.map((offset) => readRegionTable(reader, offset, options)));
}

async function readRegionTable(
  reader: RangeReader,
  offset: number,
  options: CallOptions,
): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(REGION_TABLE_SIZE);
  await reader.read(offset, bytes, options);
  return isValid(bytes) ? bytes : undefined;
}

function isValid(bytes: Uint8Array): boolean {
  const { signature, checksum } = regionTableHeader.read(bytes);
  return signature === REGION_SIGNATURE && checksum === checksumOf(bytes);
}

function regionsOf(bytes: Uint8Array, log: Claim | undefined, fileSize: number, report: Report): Regions {
  const all = entriesOf(bytes, fileSize, report);
  const claims = all.map((region) => ({ ...region, name: `region ${region.guid}` }));
  checkDisjoint(log ? [...claims, log] : claims, report);
  return {
    bat: found(all, REGION.bat, 'block table'),
    metadata: found(all, REGION.metadata, 'metadata'),
    all,
  };
}

function entriesOf(bytes: Uint8Array, fileSize: number, report: Report): Region[] {
  const { entryCount: count } = regionTableHeader.read(bytes);
  if (count > REGION_ENTRIES_MAX) throw vhdxFaults.tooManyRegions({ count });
  const regions = new Map<string, Region>();
  for (let index = 0; index < count; index += 1) {
    const entry = parse(regionEntry, bytes, regionTableHeader.size + index * regionEntry.size);
    const { guid, fileOffset, length, flags } = entry;
    const known = guid === REGION.bat || guid === REGION.metadata;
    const misplaced = placeDefect(entry, fileSize);
    // Without the place of a region that is needed there is nothing to go on with.
    if (misplaced) (known ? refuse : report)(misplaced);
    if (regions.has(guid)) report(vhdxFaults.regionTwice({ guid }));
    else if (!misplaced) regions.set(guid, { guid, fileOffset, length });
    if (!known && (flags & 1) !== 0) report(vhdxFaults.unknownRegion({ guid }));
  }
  return [...regions.values()];
}

function placeDefect(region: Region, fileSize: number): Fault | undefined {
  const { guid, fileOffset: offset, length } = region;
  const aligned = offset % MiB === 0 && length % MiB === 0;
  if (!aligned || length === 0 || offset < HEADER_AREA_SIZE) {
    return vhdxFaults.regionPlace({ guid, offset, length });
  }
  return offset + length > fileSize
    ? vhdxFaults.truncated({ size: fileSize, what: `region ${guid}`, end: offset + length })
    : undefined;
}

function checkDisjoint(claims: readonly Claim[], report: Report): void {
  const sorted = claims.toSorted((a, b) => a.fileOffset - b.fileOffset);
  sorted.slice(1).forEach((claim, index) => {
    const before = sorted[index]!;
    if (before.fileOffset + before.length > claim.fileOffset) {
      report(vhdxFaults.regionsOverlap({ one: before.name, other: claim.name }));
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
