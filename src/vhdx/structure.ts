/** What a single file says about itself, from its first bytes to its metadata: everything but the block table. */
import { MiB } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { totalBytes } from '../extents/index.ts';
import { inFile, refuse, reported, vhdxFaults, type Report } from './faults.ts';
import { FILE_SIGNATURE, HEADER_AREA_SIZE, fileIdentifier } from './format.ts';
import { readHeaders, type CurrentHeader } from './header.ts';
import { readMetadata, type Metadata } from './metadata.ts';
import { readRegions, type Claim, type Regions } from './region.ts';
import { ReplayedReader, readReplay, type Replay } from './replay.ts';

export interface Structure {
  readonly path: string;
  /** The file with its log laid over it: the only way to read anything beyond the headers. */
  readonly reader: RangeReader;
  /** What the log changed; `undefined` when it was empty. */
  readonly replay: Replay | undefined;
  readonly creator: string;
  readonly header: CurrentHeader;
  /** Where the log lies; `undefined` for a file without one. */
  readonly log: Claim | undefined;
  readonly regions: Regions;
  readonly metadata: Metadata;
}

export interface VhdxInfo extends Metadata {
  readonly creator: string;
  /** Changes with the content of the virtual disk; a child names its parent by it. */
  readonly dataWriteGuid: string;
  readonly fileWriteGuid: string;
  /** The file was not closed cleanly, and was read with its log laid over it. */
  readonly logReplayed: boolean;
  /** What writing the log into the file would do; absent when the log is empty. */
  readonly replay?: ReplayInfo;
}

export interface ReplayInfo {
  /** Sectors of 4 KiB that get other content. */
  readonly sectors: number;
  /** Bytes that become zero beside them. */
  readonly zeroedBytes: number;
  /** Bytes of the file afterwards. */
  readonly fileBytes: number;
}

/** What a file says about itself; its block table and its parents are not looked at. Any `VHDX_` fault. */
export async function readVhdxInfo(
  reader: RangeReader,
  options: CallOptions & { path?: string } = {},
): Promise<VhdxInfo> {
  return infoOf(await readStructure(reader, options.path ?? 'the file', options));
}

export function infoOf({ header, metadata, creator, replay }: Structure): VhdxInfo {
  return {
    ...metadata,
    creator,
    dataWriteGuid: header.dataWriteGuid,
    fileWriteGuid: header.fileWriteGuid,
    logReplayed: replay !== undefined,
    ...(replay ? { replay: replayInfoOf(replay) } : {}),
  };
}

function replayInfoOf({ pages, zeros, size }: Replay): ReplayInfo {
  return { sectors: pages.size, zeroedBytes: totalBytes(zeros), fileBytes: size };
}

/** What `report` lets pass is left out of the result; what nothing can be read without is thrown in any case. */
export function readStructure(
  source: RangeReader,
  path: string,
  options: CallOptions = {},
  report: Report = refuse,
): Promise<Structure> {
  return inFile(path, async () => {
    const creator = await readIdentifier(source, options);
    const header = await readHeaders(source, options);
    const replay = await reported(report, () => readReplay(source, header, options));
    const reader = replay ? new ReplayedReader(source, replay) : source;
    const log =
      header.logLength > 0
        ? { name: 'the log', fileOffset: header.logOffset, length: header.logLength }
        : undefined;
    const regions = await readRegions(reader, log, options, report);
    const metadata = await readMetadata(reader, regions.metadata, options, report);
    return { path, reader, replay, creator, header, log, regions, metadata };
  });
}

/** The creator, e.g. `Microsoft Windows 10.0.20348.0`; empty when there is none. */
async function readIdentifier(source: RangeReader, options: CallOptions): Promise<string> {
  const { signature, creator } = fileIdentifier.fields;
  const bytes = new Uint8Array(creator.offset + creator.size);
  if (source.size < bytes.length) throw vhdxFaults.notVhdx();
  await source.read(0, bytes, options);
  if (Buffer.from(bytes.subarray(0, signature.size)).toString('latin1') !== FILE_SIGNATURE) {
    throw vhdxFaults.notVhdx();
  }
  if (source.size < HEADER_AREA_SIZE) {
    throw vhdxFaults.truncated({ size: source.size, what: 'the header area', end: MiB });
  }
  return Buffer.from(bytes.subarray(creator.offset)).toString('utf16le').split('\0')[0]!;
}
