/**
 * Reference counts of a qcow2 image whose clusters are all used exactly once, from the first to the last: the only kind
 * this writer makes. They lie behind everything else, in the order table, blocks.
 */
import { MiB, viewOf } from '../base/index.ts';
import { ENTRY_SIZE, REFCOUNT_SIZE } from './format.ts';

export interface RefcountLayout {
  readonly tableClusters: number;
  readonly blocks: number;
  /** Clusters of the whole file. */
  readonly totalClusters: number;
}

/** Counts count themselves too: grows the sizes until they fit, which takes two or three rounds. */
export function refcountLayout(usedClusters: number, clusterSize: number): RefcountLayout {
  let tableClusters = 0;
  let blocks = 0;
  for (;;) {
    const totalClusters = usedClusters + tableClusters + blocks;
    const blocksNeeded = Math.ceil((totalClusters * REFCOUNT_SIZE) / clusterSize);
    const tableNeeded = Math.ceil((blocksNeeded * ENTRY_SIZE) / clusterSize);
    if (blocksNeeded === blocks && tableNeeded === tableClusters)
      return { tableClusters, blocks, totalClusters };
    blocks = blocksNeeded;
    tableClusters = tableNeeded;
  }
}

/**
 * The table and the blocks as pieces of at most about 1 MiB, in file order. 64 TiB of data have 2 GiB of counts, so they
 * are never all in memory; a piece is only valid until the next one is asked for.
 */
export function* refcountPieces(
  layout: RefcountLayout,
  usedClusters: number,
  clusterSize: number,
): Generator<Uint8Array> {
  const firstBlock = usedClusters + layout.tableClusters;
  yield* tablePieces(layout, firstBlock, clusterSize);
  yield* blockPieces(layout, clusterSize);
}

function* tablePieces(
  layout: RefcountLayout,
  firstBlock: number,
  clusterSize: number,
): Generator<Uint8Array> {
  const perCluster = clusterSize / ENTRY_SIZE;
  for (let first = 0; first < layout.blocks; first += perCluster) {
    const piece = new Uint8Array(clusterSize);
    const view = viewOf(piece);
    for (let i = 0; i < Math.min(perCluster, layout.blocks - first); i += 1) {
      view.setBigUint64(i * ENTRY_SIZE, BigInt((firstBlock + first + i) * clusterSize));
    }
    yield piece;
  }
}

function* blockPieces(layout: RefcountLayout, clusterSize: number): Generator<Uint8Array> {
  const totalBytes = layout.blocks * clusterSize;
  const usedBytes = layout.totalClusters * REFCOUNT_SIZE;
  const ones = Buffer.alloc(Math.min(Math.max(MiB, clusterSize), totalBytes), Uint8Array.of(0, 1));
  for (let at = 0; at < totalBytes; at += ones.length) {
    if (at + ones.length > usedBytes) ones.fill(0, Math.max(0, usedBytes - at));
    yield ones.subarray(0, Math.min(ones.length, totalBytes - at));
  }
}
