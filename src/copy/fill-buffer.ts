/** Filling a batch's buffer, by a thread from local files or by asking the disk. */
import { forEachBounded } from '../base/index.ts';
import type { BlockingReader, CallOptions, Disk } from '../disk/index.ts';
import type { Batch, BatchRead } from './batch.ts';

/** Ranges of one batch asked of a disk at once: hides the latency of a source that is not local. */
const RANGES_AT_ONCE = 4;

/** What no read covers becomes zeros. */
export function fillFromFiles(into: Uint8Array, reads: readonly BatchRead[], reader: BlockingReader): void {
  const covered = reads.reduce((sum, { length }) => sum + length, 0);
  if (covered < into.length) into.fill(0);
  for (const { file, fileOffset, at, length } of reads) {
    reader.read(file, fileOffset, into.subarray(at, at + length));
  }
}

/** What is not in a range is left as it is: the ranges of a batch cover all of it. */
export async function fillFromDisk(
  into: Uint8Array,
  { ranges }: Batch,
  disk: Disk,
  options: CallOptions,
): Promise<void> {
  await forEachBounded(ranges, RANGES_AT_ONCE, ({ offset, at, length }) =>
    disk.read(offset, into.subarray(at, at + length), options),
  );
}
