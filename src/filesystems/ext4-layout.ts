/** The arithmetic of an ext4 volume, from its superblock, checked before anything is computed from it. */
import {
  EXT4_COMPATIBLE,
  EXT4_INCOMPATIBLE,
  EXT4_READ_ONLY,
  EXT4_SUPERBLOCK_OFFSET,
  ext4Superblock,
} from './format.ts';
import type { VolumeBytes } from './volume-bytes.ts';

export interface Ext4Layout {
  readonly label: string;
  readonly blockBytes: number;
  readonly blocks: number;
  readonly groups: number;
  readonly blocksPerGroup: number;
  /** Blocks that one bit of the block bitmap stands for. */
  readonly clusterBlocks: number;
  /** The block the first group begins with: 1 where blocks have 1 KiB, since the boot block comes before. */
  readonly firstBlock: number;
  /** Of the first group: the same, but for blocks of 1 KiB in clusters, where the group begins with the boot block. */
  readonly superblock: number;
  readonly inodesPerGroup: number;
  readonly inodeBytes: number;
  readonly inodeTableBlocks: number;
  readonly descriptorBytes: number;
  /** Behind each superblock; 0 where descriptors are spread over meta groups. */
  readonly descriptorBlocks: number;
  readonly reservedBlocks: number;
  readonly journalInode: number;
  /** Groups with a copy of the superblock; undefined: all of them; `sparse`: powers of 3, 5 and 7. */
  readonly superblocks: 'all' | 'sparse' | readonly number[];
  /** Where the n-th block of group descriptors lies. */
  descriptorBlock(index: number): number;
}

type Superblock = ReturnType<typeof ext4Superblock.read>;

export async function readLayout(volume: VolumeBytes): Promise<Ext4Layout> {
  const bytes = await volume.read(EXT4_SUPERBLOCK_OFFSET, ext4Superblock.size);
  const superblock = volume.parse(ext4Superblock, bytes);
  checkSizes(volume, superblock);
  const blockBytes = 1024 << superblock.logBlockSize;
  const blocks = blocksOf(superblock);
  const { blocksPerGroup, firstDataBlock, inodesPerGroup, inodeBytes, incompatible } = superblock;
  const descriptorBytes = has(incompatible, EXT4_INCOMPATIBLE.wide) ? superblock.descriptorBytes : 32;
  const groups = Math.ceil((blocks - firstDataBlock) / blocksPerGroup);
  const spread = has(incompatible, EXT4_INCOMPATIBLE.metaGroups);
  const clusters = has(superblock.readOnlyCompatible, EXT4_READ_ONLY.clusters);
  const layout = {
    label: textOf(superblock.label),
    blockBytes,
    blocks,
    groups,
    blocksPerGroup,
    clusterBlocks: clusters ? 1 << (superblock.logClusterSize - superblock.logBlockSize) : 1,
    firstBlock: firstDataBlock,
    superblock: Math.floor(EXT4_SUPERBLOCK_OFFSET / blockBytes),
    inodesPerGroup,
    inodeBytes,
    inodeTableBlocks: Math.ceil((inodesPerGroup * inodeBytes) / blockBytes),
    descriptorBytes,
    descriptorBlocks: spread ? 0 : Math.ceil((groups * descriptorBytes) / blockBytes),
    reservedBlocks: spread ? 0 : superblock.reservedGroupBlocks,
    journalInode: superblock.journalInode,
    superblocks: superblocksOf(superblock),
  };
  return {
    ...layout,
    descriptorBlock: descriptorPlaces(layout, spread ? superblock.firstMetaGroup : Infinity),
  };
}

export function hasSuperblock(layout: Pick<Ext4Layout, 'superblocks'>, group: number): boolean {
  if (layout.superblocks === 'all' || group === 0) return true;
  if (layout.superblocks !== 'sparse') return layout.superblocks.includes(group);
  return group === 1 || [3, 5, 7].some((base) => isPower(group, base));
}

function checkSizes(volume: VolumeBytes, superblock: Superblock): void {
  const { logBlockSize, blocksPerGroup, inodesPerGroup, inodeBytes, descriptorBytes } = superblock;
  volume.check(logBlockSize <= 6, 'its block size is none');
  const blockBytes = 1024 << logBlockSize;
  const clusters = has(superblock.readOnlyCompatible, EXT4_READ_ONLY.clusters);
  const shift = clusters ? superblock.logClusterSize - logBlockSize : 0;
  volume.check(shift >= 0 && shift <= 16, 'its cluster size is none');
  volume.check(
    blocksPerGroup > 0 && blocksPerGroup % (1 << shift) === 0 && blocksPerGroup >> shift <= 8 * blockBytes,
    'its groups are larger than a bitmap',
  );
  volume.check(
    inodesPerGroup > 0 && inodesPerGroup <= 8 * blockBytes,
    'its groups have no sound number of inodes',
  );
  volume.check(inodeBytes >= 128 && inodeBytes <= blockBytes, 'its inodes have no sound size');
  const wide = has(superblock.incompatible, EXT4_INCOMPATIBLE.wide);
  volume.check(
    !wide || (descriptorBytes >= 32 && descriptorBytes <= 1024),
    'its descriptors have no sound size',
  );
  volume.check(superblock.firstDataBlock <= 1, 'its first block is none');
  const bytes = blocksOf(superblock) * blockBytes;
  volume.check(bytes > 0 && bytes <= volume.size, 'it is larger than its partition');
}

function blocksOf({ blocksLow, blocksHigh, incompatible }: Superblock): number {
  return (has(incompatible, EXT4_INCOMPATIBLE.wide) ? blocksHigh * 2 ** 32 : 0) + blocksLow;
}

function superblocksOf(superblock: Superblock): Ext4Layout['superblocks'] {
  if (has(superblock.compatible, EXT4_COMPATIBLE.sparseSuper2))
    return [superblock.backupGroup0, superblock.backupGroup1];
  return has(superblock.readOnlyCompatible, EXT4_READ_ONLY.sparseSuper) ? 'sparse' : 'all';
}

function descriptorPlaces(
  layout: Omit<Ext4Layout, 'descriptorBlock'>,
  firstMetaGroup: number,
): (index: number) => number {
  const perBlock = Math.floor(layout.blockBytes / layout.descriptorBytes);
  return (index) => {
    if (index < firstMetaGroup || index === 0) return layout.superblock + 1 + index;
    const group = index * perBlock;
    return layout.firstBlock + group * layout.blocksPerGroup + (hasSuperblock(layout, group) ? 1 : 0);
  };
}

function has(word: number, bit: number): boolean {
  return (word & bit) !== 0;
}

function isPower(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8').split('\0')[0]!;
}
