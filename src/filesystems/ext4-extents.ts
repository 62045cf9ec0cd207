/** The extents of an inode: a tree whose every level is counted down, so that a ring in it ends. */
import type { Ext4Layout } from './ext4-layout.ts';
import { EXTENT_MAGIC, EXTENT_UNWRITTEN, extentHeader, extentIndex, extentLeaf } from './format.ts';
import type { VolumeBytes } from './volume-bytes.ts';

/** Entries of all nodes together. The journal of a sound volume has a handful. */
const ENTRIES_MAX = 16_384;
const DEPTH_MAX = 5;

export interface BlockRun {
  readonly block: number;
  readonly blocks: number;
}

/** `node`: the 60 bytes in the inode. Throws `FILESYSTEM_DAMAGED`. */
export async function extentsOfInode(
  volume: VolumeBytes,
  layout: Ext4Layout,
  node: Uint8Array,
): Promise<BlockRun[]> {
  const found: BlockRun[] = [];
  const { depth } = volume.parse(extentHeader, node);
  volume.check(depth <= DEPTH_MAX, 'the extents of a file are too deep');
  await collect(volume, layout, { node, depth, budget: { left: ENTRIES_MAX } }, found);
  return found;
}

interface Node {
  readonly node: Uint8Array;
  readonly depth: number;
  readonly budget: { left: number };
}

async function collect(
  volume: VolumeBytes,
  layout: Ext4Layout,
  { node, depth, budget }: Node,
  found: BlockRun[],
): Promise<void> {
  const header = volume.parse(extentHeader, node);
  volume.check(header.magic === EXTENT_MAGIC && header.depth === depth, 'the extents of a file are damaged');
  for (let index = 0; index < header.entries; index += 1) {
    budget.left -= 1;
    volume.check(budget.left >= 0, 'a file has too many extents');
    const at = extentHeader.size * (index + 1);
    if (depth === 0) found.push(leafAt(volume, layout, node, at));
    else {
      const { leafLow, leafHigh } = volume.parse(extentIndex, node, at);
      const child = await volume.read((leafHigh * 2 ** 32 + leafLow) * layout.blockBytes, layout.blockBytes);
      await collect(volume, layout, { node: child, depth: depth - 1, budget }, found);
    }
  }
}

function leafAt(volume: VolumeBytes, layout: Ext4Layout, node: Uint8Array, at: number): BlockRun {
  const { length, startHigh, startLow } = volume.parse(extentLeaf, node, at);
  const block = startHigh * 2 ** 32 + startLow;
  const blocks = length > EXTENT_UNWRITTEN ? length - EXTENT_UNWRITTEN : length;
  volume.check(block + blocks <= layout.blocks, 'an extent of a file lies behind its end');
  return { block, blocks };
}
