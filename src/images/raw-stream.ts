/** A disk as its plain bytes, front to back, for a pipe: holes are zeros there. */
import { MiB, mapOrdered, silentProgress } from '../base/index.ts';
import type { CallOptions, Disk } from '../disk/index.ts';
import { piecesOf, type Extent } from '../extents/index.ts';
import type { Progress } from '../base/index.ts';

export interface RawStreamOptions extends CallOptions {
  /** Advanced by bytes of the disk. */
  readonly progress?: Progress;
}

/** Hides the latency of a source that is not local; 1 MiB each. */
const READS_AT_ONCE = 8;
const ZEROS: Uint8Array = new Uint8Array(MiB);

/** Pieces of up to 1 MiB, `disk.size` bytes in all. Nobody may write into them. */
export async function* rawStream(disk: Disk, options: RawStreamOptions = {}): AsyncGenerator<Uint8Array> {
  const { signal, progress = silentProgress } = options;
  const pieces = piecesOf(disk.allocated(undefined, { signal }), MiB);
  const read = async ({ offset, length }: Extent): Promise<{ offset: number; bytes: Uint8Array }> => {
    const bytes = new Uint8Array(length);
    await disk.read(offset, bytes, { signal });
    return { offset, bytes };
  };
  let reached = 0;
  for await (const { offset, bytes } of mapOrdered(pieces, READS_AT_ONCE, read)) {
    yield* zeros(offset - reached, options);
    yield bytes;
    progress.advance(offset + bytes.length - reached);
    reached = offset + bytes.length;
  }
  yield* zeros(disk.size - reached, options);
  progress.advance(disk.size - reached);
}

function* zeros(length: number, { signal }: CallOptions): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= MiB) {
    signal?.throwIfAborted();
    yield left < MiB ? ZEROS.subarray(0, left) : ZEROS;
  }
}
