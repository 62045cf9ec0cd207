/** The header of a qcow2 image, read and checked. */
import { viewOf, type StructOf } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { imageFaults } from './faults.ts';
import {
  BACKING_NAME_MAX,
  COMPRESSION_TYPE,
  ENTRY_SIZE,
  EXTENSION_BACKING_FORMAT,
  EXTENSION_HEADER_SIZE,
  FEATURE_COMPRESSION_TYPE,
  QCOW2_MAGIC,
  qcow2Header,
} from './format.ts';
import { qcow2Geometry, type Qcow2Geometry } from './qcow2-geometry.ts';

/** What an image says of the file it stands on. */
export interface NamedBacking {
  readonly path: string;
  /** `undefined`: it does not say. */
  readonly format: string | undefined;
}

export interface Qcow2Info {
  readonly geometry: Qcow2Geometry;
  readonly l1Offset: number;
  readonly compression: keyof typeof COMPRESSION_TYPE;
  readonly backing: NamedBacking | undefined;
}

type Header = StructOf<typeof qcow2Header>;

/** Of version 3 without a compression type. */
const HEADER_MIN = 104;
/** In the order of their bits; what has no name here is newer than this reader. */
const INCOMPATIBLE = ['an unclean end', 'known damage', 'an external data file', '', 'extended L2 entries'];

/** Throws `IMAGE_DAMAGED`, `IMAGE_UNREAD`. Whatever it returns is bounded, and the L1 table lies inside the file. */
export async function readQcow2Header(
  file: RangeReader,
  path: string,
  options: CallOptions,
): Promise<Qcow2Info> {
  const damaged = (problem: string): Error => imageFaults.damaged({ path, format: 'qcow2', problem });
  if (file.size < qcow2Header.size) throw damaged('it is too short for a header');
  const bytes = new Uint8Array(qcow2Header.size);
  await file.read(0, bytes, options);
  const header = parse(bytes);
  if (header?.magic !== QCOW2_MAGIC) throw damaged('it does not begin as one');
  const feature = unreadFeature(header);
  if (feature !== undefined) throw imageFaults.unread({ path, format: 'qcow2', feature });
  const geometry = geometryOf(header);
  if (!geometry || header.headerLength < HEADER_MIN || header.headerLength > geometry.clusterSize) {
    throw damaged('its header holds impossible values');
  }
  const { l1TableOffset: l1Offset, l1Size } = header;
  const l1End = l1Offset + geometry.regions * ENTRY_SIZE;
  if (l1Size < geometry.regions || l1Offset % geometry.clusterSize !== 0 || l1End > file.size) {
    throw damaged('its L1 table is not inside the file, or too short for the disk');
  }
  const isZstd = header.headerLength > HEADER_MIN && header.compressionType === COMPRESSION_TYPE.zstd;
  const backing = await readBacking(file, header, options);
  if (backing === 'impossible') throw damaged('the name of its backing file is not inside the first cluster');
  return { geometry, l1Offset, compression: isZstd ? 'zstd' : 'deflate', backing };
}

/** Numbers beyond 2^53 are none that a header can hold. */
function parse(bytes: Uint8Array): Header | undefined {
  try {
    return qcow2Header.read(bytes);
  } catch {
    return undefined;
  }
}

function unreadFeature(header: Header): string | undefined {
  if (header.version !== 3) return `version ${header.version}`;
  if (header.cryptMethod !== 0) return 'encryption';
  if (header.headerLength > HEADER_MIN && header.compressionType > COMPRESSION_TYPE.zstd) {
    return `compression of type ${header.compressionType}`;
  }
  const unread = header.incompatibleFeatures - (header.incompatibleFeatures & FEATURE_COMPRESSION_TYPE);
  if (unread === 0) return undefined;
  return (
    INCOMPATIBLE.find((name, bit) => name !== '' && unread % 2 ** (bit + 1) >= 2 ** bit) ?? 'unknown features'
  );
}

function geometryOf({ size, clusterBits }: Header): Qcow2Geometry | undefined {
  try {
    return qcow2Geometry(size, 2 ** clusterBits);
  } catch {
    return undefined;
  }
}

async function readBacking(
  file: RangeReader,
  header: Header,
  options: CallOptions,
): Promise<NamedBacking | undefined | 'impossible'> {
  const { backingFileOffset: offset, backingFileSize: length, headerLength } = header;
  if (offset === 0) return undefined;
  const room = Math.min(2 ** header.clusterBits, file.size);
  if (length === 0 || length > BACKING_NAME_MAX || offset < headerLength || offset + length > room)
    return 'impossible';
  const cluster = Buffer.alloc(room);
  await file.read(0, cluster, options);
  const format = extensionOf(cluster.subarray(headerLength, offset), EXTENSION_BACKING_FORMAT);
  return { path: cluster.toString('utf8', offset, offset + length), format: format?.toString('latin1') };
}

/** The data of the extension of that type. */
function extensionOf(bytes: Buffer, wanted: number): Buffer | undefined {
  const view = viewOf(bytes);
  for (let at = 0; at + EXTENSION_HEADER_SIZE <= bytes.length;) {
    const [type, length] = [view.getUint32(at), view.getUint32(at + 4)];
    const data = bytes.subarray(at + EXTENSION_HEADER_SIZE, at + EXTENSION_HEADER_SIZE + length);
    if (type === 0) return undefined;
    if (type === wanted) return data;
    at += EXTENSION_HEADER_SIZE + Math.ceil(length / 8) * 8;
  }
  return undefined;
}
