/**
 * Where an ext4 volume keeps its own things: superblocks and group descriptors, bitmaps, inode tables, the journal.
 *
 *   superblock ─► group descriptors ─► block bitmap · inode bitmap · inode table of each group
 *        └─► inode of the journal ─► its extents
 *
 * Directories lie among the files and count as files: telling them apart would need every inode.
 */
import { AreaMap, AreaRuns, type AllocationBitmap, type AreaPiece, type VolumeMap } from './area-map.ts';
import { hasSuperblock, readLayout, type Ext4Layout } from './ext4-layout.ts';
import { extentsOfInode } from './ext4-extents.ts';
import { filesystemFaults } from './faults.ts';
import {
  EXT4_BLOCKS_UNWRITTEN,
  EXT4_INODE_HAS_EXTENTS,
  ext4Group,
  ext4GroupHigh,
  ext4Inode,
} from './format.ts';
import type { VolumeBytes } from './volume-bytes.ts';

/** A volume of 128 TiB with groups of 128 MiB. */
const GROUPS_MAX = 1_048_576;
const UNWRITTEN = -1;

interface Groups {
  /** Block of each group's block bitmap, or {@link UNWRITTEN}. */
  readonly bitmaps: Float64Array;
  /** Block of the first inode table: that of the journal's inode. */
  readonly inodeTable: number;
}

/** Throws `FILESYSTEM_DAMAGED`, `FILESYSTEM_TOO_LARGE`. */
export async function openExt4(volume: VolumeBytes): Promise<VolumeMap> {
  const layout = await readLayout(volume);
  if (layout.groups > GROUPS_MAX) throw filesystemFaults.tooLarge({ what: volume.name, limit: GROUPS_MAX });
  const runs = new AreaRuns(volume.name);
  for (const run of superblockRuns(layout)) runs.add(run);
  const groups = await readGroups(volume, layout, runs);
  const journal = await readJournal(volume, layout, groups.inodeTable);
  for (const run of journal ?? []) runs.add(run);
  const map = new AreaMap(runs.arranged(), bitmapOf(volume, layout, groups));
  return {
    fileSystem: 'ext4',
    label: layout.label,
    missing: journal ? [] : ['journal'],
    pieces: (extent) => map.pieces(extent),
  };
}

function runOf(layout: Ext4Layout, area: string, block: number, blocks: number): AreaPiece {
  return { area, offset: block * layout.blockBytes, length: blocks * layout.blockBytes };
}

/** The boot block, then superblock, group descriptors and the room they may grow into, with their copies. */
function* superblockRuns(layout: Ext4Layout): Generator<AreaPiece> {
  const { firstBlock, blocksPerGroup, superblock } = layout;
  if (superblock > 0) yield runOf(layout, 'superblocks', 0, superblock);
  for (let group = 0; group < layout.groups; group += 1) {
    if (!hasSuperblock(layout, group)) continue;
    const blocks = 1 + layout.descriptorBlocks + layout.reservedBlocks;
    const first = group === 0 ? superblock : firstBlock + group * blocksPerGroup;
    yield runOf(layout, 'superblocks', first, blocks);
  }
}

async function readGroups(volume: VolumeBytes, layout: Ext4Layout, runs: AreaRuns): Promise<Groups> {
  const bitmaps = new Float64Array(layout.groups);
  let inodeTable = 0;
  const perBlock = Math.floor(layout.blockBytes / layout.descriptorBytes);
  for (let first = 0; first < layout.groups; first += perBlock) {
    const block = layout.descriptorBlock(first / perBlock);
    const bytes = await volume.read(block * layout.blockBytes, layout.blockBytes);
    if (layout.descriptorBlocks === 0)
      for (const run of metaGroupRuns(layout, first, perBlock)) runs.add(run);
    for (let index = 0; index < perBlock && first + index < layout.groups; index += 1) {
      const group = readGroup(volume, layout, bytes, index);
      bitmaps[first + index] = group.unwritten ? UNWRITTEN : group.blockBitmap;
      if (first + index === 0) inodeTable = group.inodeTable;
      runs.add(runOf(layout, 'bitmaps', group.blockBitmap, 1));
      runs.add(runOf(layout, 'bitmaps', group.inodeBitmap, 1));
      runs.add(runOf(layout, 'inode tables', group.inodeTable, layout.inodeTableBlocks));
    }
  }
  return { bitmaps, inodeTable };
}

/** The descriptors of a meta group stand in its first group, with copies in the second and the last. */
function metaGroupRuns(layout: Ext4Layout, first: number, groups: number): AreaPiece[] {
  const own = [first, first + 1, first + groups - 1].filter((group) => group < layout.groups);
  return own.map((group) => {
    const start = group === 0 ? layout.superblock : layout.firstBlock + group * layout.blocksPerGroup;
    return runOf(layout, 'superblocks', start + (hasSuperblock(layout, group) ? 1 : 0), 1);
  });
}

function readGroup(volume: VolumeBytes, layout: Ext4Layout, bytes: Buffer, index: number) {
  const at = index * layout.descriptorBytes;
  const low = volume.parse(ext4Group, bytes, at);
  const high = layout.descriptorBytes >= 64 ? volume.parse(ext4GroupHigh, bytes, at + 32) : undefined;
  const wide = (name: 'blockBitmap' | 'inodeBitmap' | 'inodeTable'): number => {
    const block = (high?.[name] ?? 0) * 2 ** 32 + low[name];
    volume.check(block < layout.blocks, `a group keeps its ${name} at block ${block}, behind its end`);
    return block;
  };
  return {
    blockBitmap: wide('blockBitmap'),
    inodeBitmap: wide('inodeBitmap'),
    inodeTable: wide('inodeTable'),
    unwritten: (low.flags & EXT4_BLOCKS_UNWRITTEN) !== 0,
  };
}

/** Undefined: it has one that is not found by extents (ext3), or on another device. None at all is an empty list. */
async function readJournal(
  volume: VolumeBytes,
  layout: Ext4Layout,
  inodeTable: number,
): Promise<AreaPiece[] | undefined> {
  const { journalInode, inodesPerGroup, inodeBytes, blockBytes } = layout;
  if (journalInode === 0) return [];
  if (journalInode > inodesPerGroup) return undefined;
  const at = inodeTable * blockBytes + (journalInode - 1) * inodeBytes;
  const inode = volume.parse(ext4Inode, await volume.read(at, ext4Inode.size));
  if ((inode.flags & EXT4_INODE_HAS_EXTENTS) === 0) return undefined;
  const extents = await extentsOfInode(volume, layout, inode.block);
  return extents.map(({ block, blocks }) => runOf(layout, 'journal', block, blocks));
}

function bitmapOf(volume: VolumeBytes, layout: Ext4Layout, { bitmaps }: Groups): AllocationBitmap {
  const { blockBytes, clusterBlocks, blocksPerGroup, firstBlock } = layout;
  const unitsPerGroup = blocksPerGroup / clusterBlocks;
  return {
    unitBytes: blockBytes * clusterBlocks,
    async page(unit) {
      const group = Math.floor((unit - firstBlock) / unitsPerGroup);
      // What lies behind the last block of the file system belongs to nobody.
      if (group < 0 || group >= layout.groups)
        return { firstUnit: unit, units: unitsPerGroup, bits: new Uint8Array(Math.ceil(unitsPerGroup / 8)) };
      const block = bitmaps[group]!;
      const bits =
        block === UNWRITTEN ? new Uint8Array(blockBytes) : await volume.read(block * blockBytes, blockBytes);
      return { firstUnit: firstBlock + group * unitsPerGroup, units: unitsPerGroup, bits };
    },
  };
}
