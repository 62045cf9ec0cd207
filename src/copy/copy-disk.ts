/** Any disk into any image that bytes are placed in. */
import { KiB, MiB, isZero, silentProgress, type Progress } from '../base/index.ts';
import { LocalFile, type CallOptions, type Disk, type PlacedWriter } from '../disk/index.ts';
import { alignStream, piecesOf } from '../extents/index.ts';

export interface CopyRequest extends CallOptions {
  /** Stays open; it must not be closed before the copy has ended. */
  readonly source: Disk;
  /** Fresh, so that what is not written reads as zeros, and as large as the source. The caller finishes or aborts it. */
  readonly target: PlacedWriter;
  /** Advanced by bytes of the virtual disk, `source.size` in all, holes included. */
  readonly progress?: Progress;
  /** Threads at most; 0: none. Default: one a processor. */
  readonly workers?: number;
}

export interface CopyStats {
  /** Read from the source: what `allocated()` names, in cells of 64 KiB. */
  readonly readBytes: number;
  /** Written into the image. */
  readonly writtenBytes: number;
}

const CELL = 64 * KiB;

/**
 * Copies every byte of `source` that is not zero to its place in `target`. Faults: what reading the source throws,
 * `DISK_NO_SPACE`, `DISK_IO_FAILED` with the name of the file.
 */
export async function copyDisk(request: CopyRequest): Promise<CopyStats> {
  const { source, target, signal, progress = silentProgress } = request;
  const file = await LocalFile.open(target.path);
  let readBytes = 0;
  let writtenBytes = 0;
  let reached = 0;
  try {
    for await (const { offset, length } of piecesOf(
      alignStream(source.allocated(undefined, { signal }), CELL, source.size),
      MiB,
    )) {
      signal?.throwIfAborted();
      const bytes = new Uint8Array(length);
      await source.read(offset, bytes, { signal });
      readBytes += length;
      if (!isZero(bytes)) {
        let at = 0;
        for (const span of await target.place(offset, length)) {
          await file.write(span.fileOffset, bytes.subarray(at, at + span.length));
          at += span.length;
        }
        writtenBytes += length;
      }
      progress.advance(offset + length - reached);
      reached = offset + length;
    }
    progress.advance(source.size - reached);
  } finally {
    await file.close();
  }
  return { readBytes, writtenBytes };
}
