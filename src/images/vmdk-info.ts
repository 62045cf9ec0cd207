/** Header, footer and descriptor of a sparse VMDK, read and checked. */
import { KiB, TiB, type StructOf } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { imageFaults } from './faults.ts';
import {
  COMPRESSION_DEFLATE,
  DIRECTORY_AT_END,
  FLAG_COMPRESSED,
  FLAG_LINE_ENDS,
  FLAG_MARKERS,
  FLAG_REDUNDANT_DIRECTORY,
  GRAIN_SECTORS,
  HEADER_DEFAULTS,
  SECTOR,
  sparseHeader,
  TABLE_ENTRIES,
  VMDK_MAGIC,
} from './vmdk-format.ts';

export interface VmdkInfo {
  /** Bytes of the disk. */
  readonly size: number;
  readonly directoryOffset: number;
  /** Bytes at the start of the file that are no grain's. */
  readonly overhead: number;
  readonly isCompressed: boolean;
}

type Header = StructOf<typeof sparseHeader>;

/** Of the format. */
const SIZE_MAX = 64 * TiB;
const FLAGS_READ = FLAG_LINE_ENDS | FLAG_REDUNDANT_DIRECTORY | FLAG_COMPRESSED | FLAG_MARKERS;
const DESCRIPTOR_MAX = 64 * KiB;
/** The footer stands before the marker that ends the stream. */
const FOOTER_FROM_END = 2 * SECTOR;

/** Throws `IMAGE_DAMAGED`, `IMAGE_UNREAD`. */
export async function readVmdkInfo(file: RangeReader, path: string, options: CallOptions): Promise<VmdkInfo> {
  const damaged = (problem: string): Error => imageFaults.damaged({ path, format: 'VMDK', problem });
  const first = await headerAt(file, 0, options);
  if (first?.magic !== VMDK_MAGIC) throw damaged('it does not begin as a sparse extent');
  const isStream = first.directoryOffset === DIRECTORY_AT_END;
  const header = isStream ? await headerAt(file, file.size - FOOTER_FROM_END, options) : first;
  if (header?.magic !== VMDK_MAGIC || header.capacity !== first.capacity)
    throw damaged('it has no footer: it was cut off');
  const feature = unreadFeature(header);
  if (feature !== undefined) throw imageFaults.unread({ path, format: 'VMDK', feature });
  const lineEnds = LINE_ENDS.every((field) => header[field] === HEADER_DEFAULTS[field]);
  if ((header.flags & FLAG_LINE_ENDS) !== 0 && !lineEnds)
    throw damaged('a transfer as text changed its line ends');
  const size = header.capacity * SECTOR;
  const directoryOffset = Number(header.directoryOffset) * SECTOR;
  if (size === 0 || size > SIZE_MAX || directoryOffset > file.size)
    throw damaged('its header holds impossible values');
  const descriptor = await descriptorOf(file, header, options);
  if (descriptor === undefined) throw damaged('its descriptor is not inside the file');
  if (!/^parentCID=ffffffff\s*$/m.test(descriptor))
    throw imageFaults.unread({ path, format: 'VMDK', feature: 'a parent' });
  const extents = descriptor.match(/^(?:RW|RDONLY|NOACCESS) .*$/gm) ?? [];
  if (extents.length !== 1 || !extents[0]!.startsWith(`RW ${header.capacity} SPARSE `)) {
    throw damaged('its descriptor names other extents than this one');
  }
  const isCompressed = (header.flags & FLAG_COMPRESSED) !== 0;
  return { size, directoryOffset, overhead: header.overhead * SECTOR, isCompressed };
}

const LINE_ENDS = ['singleEndLine', 'nonEndLine', 'doubleEndLine1', 'doubleEndLine2'] as const;

async function headerAt(file: RangeReader, at: number, options: CallOptions): Promise<Header | undefined> {
  if (at < 0 || at + SECTOR > file.size) return undefined;
  const bytes = new Uint8Array(SECTOR);
  await file.read(at, bytes, options);
  try {
    return sparseHeader.read(bytes);
  } catch {
    return undefined; // numbers beyond 2^53
  }
}

function unreadFeature(header: Header): string | undefined {
  if (header.version < 1 || header.version > 3) return `version ${header.version}`;
  if ((header.flags & ~FLAGS_READ) !== 0) return `the flags ${header.flags.toString(16)}`;
  if (header.grainSize !== GRAIN_SECTORS) return `grains of ${header.grainSize} sectors`;
  if (header.tableEntries !== TABLE_ENTRIES) return `tables of ${header.tableEntries} entries`;
  if (header.uncleanShutdown !== 0) return 'an unclean end';
  if ((header.flags & FLAG_COMPRESSED) !== 0 && header.compression !== COMPRESSION_DEFLATE)
    return 'another compression';
  return undefined;
}

async function descriptorOf(
  file: RangeReader,
  { descriptorOffset, descriptorSize }: Header,
  options: CallOptions,
): Promise<string | undefined> {
  const [at, length] = [descriptorOffset * SECTOR, descriptorSize * SECTOR];
  if (length > DESCRIPTOR_MAX || at + length > file.size) return undefined;
  const bytes = Buffer.alloc(length);
  await file.read(at, bytes, options);
  return bytes.toString('utf8').replace(/\0[^]*$/, '');
}
