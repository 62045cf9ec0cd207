/** The first cluster of a qcow2 image: header, extensions, name of the backing file. */
import { viewOf } from '../base/index.ts';
import { imageFaults } from './faults.ts';
import {
  BACKING_NAME_MAX,
  COMPRESSION_TYPE,
  EXTENSION_BACKING_FORMAT,
  EXTENSION_HEADER_SIZE,
  FEATURE_COMPRESSION_TYPE,
  QCOW2_MAGIC,
  qcow2Header,
  REFCOUNT_ORDER,
  SECTOR_SIZE,
} from './format.ts';
import type { Qcow2Geometry } from './qcow2-geometry.ts';

/** The image below: what is not in the upper one is read from it. */
export interface BackingFile {
  /** As QEMU will open it: relative to the folder of the image, or absolute. At most 1023 bytes. */
  readonly path: string;
  readonly format: 'qcow2' | 'raw' | 'vmdk' | 'vhdx' | 'vpc';
}

export interface HeaderParts {
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** Of compressed clusters, if there are any. */
  readonly compression: keyof typeof COMPRESSION_TYPE;
  readonly backing?: BackingFile | undefined;
}

/** Where the name of a backing file stands. Throws `IMAGE_BACKING_REFUSED` when it has no room in the first cluster. */
export function backingRoom({ path, format }: BackingFile, clusterSize: number): number {
  const bytes = Buffer.byteLength(path);
  const refused = (reason: string): Error => imageFaults.backingRefused({ path, reason });
  if (bytes === 0) throw refused('it has no name');
  if (bytes > BACKING_NAME_MAX) throw refused(`its name has more than ${BACKING_NAME_MAX} bytes`);
  const offset = qcow2Header.size + EXTENSION_HEADER_SIZE + aligned(format.length) + EXTENSION_HEADER_SIZE;
  if (offset + bytes > clusterSize) throw refused(`its name does not fit a cluster of ${clusterSize} bytes`);
  return offset;
}

/** Zeros behind the header, or behind the extension, say that no other extension follows. */
export function qcow2HeaderCluster(geometry: Qcow2Geometry, parts: HeaderParts): Uint8Array {
  const { size, clusterSize, regions } = geometry;
  const { refcountTableOffset, refcountTableClusters, compression, backing } = parts;
  const bytes = new Uint8Array(clusterSize);
  qcow2Header.write(bytes, {
    magic: QCOW2_MAGIC,
    version: 3,
    clusterBits: Math.log2(clusterSize),
    size: Math.ceil(size / SECTOR_SIZE) * SECTOR_SIZE,
    l1Size: regions,
    l1TableOffset: clusterSize,
    refcountTableOffset,
    refcountTableClusters,
    incompatibleFeatures: compression === 'deflate' ? 0 : FEATURE_COMPRESSION_TYPE,
    refcountOrder: REFCOUNT_ORDER,
    headerLength: qcow2Header.size,
    compressionType: COMPRESSION_TYPE[compression],
  });
  if (backing) putBacking(bytes, backing);
  return bytes;
}

function putBacking(bytes: Uint8Array, backing: BackingFile): void {
  const { path, format } = backing;
  const name = Buffer.from(path);
  const offset = backingRoom(backing, bytes.length);
  const view = viewOf(bytes);
  view.setUint32(qcow2Header.size, EXTENSION_BACKING_FORMAT);
  view.setUint32(qcow2Header.size + 4, format.length);
  bytes.set(Buffer.from(format), qcow2Header.size + EXTENSION_HEADER_SIZE);
  bytes.set(name, offset);
  qcow2Header.write(bytes, { backingFileOffset: offset, backingFileSize: name.length });
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
