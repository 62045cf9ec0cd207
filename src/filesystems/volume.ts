/** Which file system a partition has, and its map when it is one that can be read. */
import { isFault } from '../base/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import type { VolumeMap } from './area-map.ts';
import { openExt4 } from './ext4.ts';
import { EXT4_MAGIC } from './format.ts';
import { openNtfs } from './ntfs.ts';
import { VolumeBytes } from './volume-bytes.ts';

export interface Volume {
  /** `ntfs`, `ext4`, the name of one that is known and not read, or `unknown`. */
  readonly fileSystem: string;
  readonly map?: VolumeMap;
  /** Why there is no map. */
  readonly unreadable?: string;
}

/** The first sectors decide; 2 KiB hold every mark looked for. */
const HEAD_BYTES = 2048;

interface Mark {
  readonly fileSystem: string;
  readonly offset: number;
  readonly text: string;
  readonly reason: string;
}

const OTHERS: readonly Mark[] = [
  { fileSystem: 'bitlocker', offset: 3, text: '-FVE-FS-', reason: 'the volume is encrypted by BitLocker' },
  { fileSystem: 'refs', offset: 3, text: 'ReFS\0\0\0\0', reason: 'ReFS is not read' },
  { fileSystem: 'exfat', offset: 3, text: 'EXFAT   ', reason: 'exFAT is not read' },
  { fileSystem: 'fat', offset: 0x52, text: 'FAT32   ', reason: 'FAT is not read' },
  { fileSystem: 'fat', offset: 0x36, text: 'FAT', reason: 'FAT is not read' },
  { fileSystem: 'luks', offset: 0, text: 'LUKS\u00ba\u00be', reason: 'the volume is encrypted by LUKS' },
  { fileSystem: 'lvm', offset: 512, text: 'LABELONE', reason: 'volumes of LVM are not read' },
  { fileSystem: 'xfs', offset: 0, text: 'XFSB', reason: 'XFS is not read' },
];

/** Never throws for what the guest wrote: then `unreadable` says why. Throws when bytes of the disk itself cannot be had. */
export async function openVolume(
  disk: RangeReader,
  place: Extent,
  options: CallOptions = {},
): Promise<Volume> {
  const bytes = new VolumeBytes(disk, place, 'the volume', options);
  if (bytes.size < HEAD_BYTES) return { fileSystem: 'unknown', unreadable: 'the partition is too small' };
  const head = await bytes.read(0, HEAD_BYTES);
  if (hasText(head, 3, 'NTFS    ')) return mapped('ntfs', () => openNtfs(bytes));
  if (head.readUInt16LE(1024 + 0x38) === EXT4_MAGIC) return mapped('ext4', () => openExt4(bytes));
  const other = OTHERS.find(({ offset, text }) => hasText(head, offset, text));
  if (other) return { fileSystem: other.fileSystem, unreadable: other.reason };
  return { fileSystem: 'unknown', unreadable: 'it has no file system that is known' };
}

async function mapped(fileSystem: string, open: () => Promise<VolumeMap>): Promise<Volume> {
  try {
    return { fileSystem, map: await open() };
  } catch (error) {
    if (!isFault(error) || !error.code.startsWith('FILESYSTEM_')) throw error;
    return { fileSystem, unreadable: error.message };
  }
}

function hasText(bytes: Buffer, offset: number, text: string): boolean {
  return bytes.toString('latin1', offset, offset + text.length) === text;
}
