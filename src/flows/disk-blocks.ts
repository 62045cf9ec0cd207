/** The blocks of a disk that may hold data, read ahead and given in order. */
import { mapOrdered } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import { alignStream, piecesOf, type Extent } from '../extents/index.ts';

/** Reads under way at once: hides the latency of a disk that has to seek. */
const READS_AT_ONCE = 8;

export interface DiskBlock {
  readonly offset: number;
  /** Valid until the next block is asked for. */
  readonly bytes: Uint8Array;
}

/** Blocks of `blockSize` bytes at multiples of it, the last one of the disk shorter. Memory: {@link READS_AT_ONCE} of them. */
export async function* blocksRead(
  disk: Disk,
  blockSize: number,
  options: CallOptions,
): AsyncGenerator<DiskBlock> {
  const buffers: Uint8Array[] = [];
  const read = async ({ offset, length }: Extent): Promise<DiskBlock> => {
    const bytes = (buffers.pop() ?? new Uint8Array(blockSize)).subarray(0, length);
    await disk.read(offset, bytes, options);
    return { offset, bytes };
  };
  const blocks = piecesOf(alignStream(disk.allocated(undefined, options), blockSize, disk.size), blockSize);
  for await (const block of mapOrdered(blocks, READS_AT_ONCE, read)) {
    yield block;
    buffers.push(new Uint8Array(block.bytes.buffer));
  }
}
