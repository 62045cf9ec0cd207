/**
 * The ports every disk speaks.
 *
 *   RangeReader    bytes at positions: a host file, a frozen chain, a restore point
 *   Disk           a RangeReader that also knows where data may be
 *   RangeWriter    bytes to positions: what a restore fills
 *   PlacedWriter   a RangeWriter in a local file that tells where bytes go, so that workers can write them directly
 *
 * Offsets and lengths are bytes. `read` fills all of `into` or throws; concurrent reads are allowed and independent.
 */
import type { Extent, ExtentStream } from '../extents/index.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface RangeReader {
  /** Bytes; constant while open. */
  readonly size: number;
  /**
   * Fills `into` with the bytes at `offset`. Never short: throws `DISK_OUT_OF_RANGE` when
   * `offset + into.length > size`, and the cause's own fault when a byte cannot be had.
   */
  read(offset: number, into: Uint8Array, options?: CallOptions): Promise<void>;
  /**
   * The local file that holds exactly these bytes, in this order; `undefined` when there is none, or `read` has to be asked
   * for another reason. What is answered holds until `close`. Threads read large ranges from the file themselves.
   */
  locate?(offset: number, length: number): FilePlace | undefined;
  /**
   * The first run of bytes at or behind `from` that a sparse file holds; `undefined` when nothing but zeros follows. Left out, or
   * answered with all the rest, where that is not known. It holds until the file is written.
   */
  nextData?(from: number): Extent | undefined;
  /** Releases what is held. Reads under way end first; reads afterwards throw `DISK_CLOSED`. Idempotent. */
  close(): Promise<void>;
}

export interface Disk extends RangeReader {
  /** Bytes of one logical sector: 512 or 4096. */
  readonly logicalSectorSize: number;
  /**
   * Where bytes other than zero may be: sorted, non-overlapping, clipped to `within` (default: the whole disk).
   * What is not yielded reads as zeros. Costs memory independent of the disk's size and touches no data.
   */
  allocated(within?: Extent, options?: CallOptions): ExtentStream;
  /**
   * Where the bytes of `within` lie in local files: sorted runs, between them the disk reads as zeros. `undefined` when any
   * of it has to be asked of `read`. As long as `locate`, it holds until `close`.
   */
  located?(within: Extent, options?: CallOptions): Promise<readonly LocatedRun[] | undefined>;
}

/** A local file, so that another thread can open it for itself. */
export interface LocalFileId {
  readonly path: string;
  /** By which the file is told from another that has taken its name; left out: whatever has the name. */
  readonly identity?: { readonly device: number; readonly inode: number };
}

export interface FilePlace {
  readonly file: LocalFileId;
  /** Byte offset in the file. */
  readonly fileOffset: number;
}

/** A run of a disk whose bytes are one run of a local file. */
export interface LocatedRun extends Extent, FilePlace {}

export interface RangeWriter {
  /** Bytes of the virtual disk. */
  readonly size: number;
  write(offset: number, bytes: Uint8Array, options?: CallOptions): Promise<void>;
  /** Makes the range read as zeros, as cheaply as the target can. A fresh target already reads as zeros. */
  zero(offset: number, length: number, options?: CallOptions): Promise<void>;
  /** What was written survives a crash once this resolves. */
  flush(options?: CallOptions): Promise<void>;
  close(): Promise<void>;
}

/** A run of a local file that holds a run of the virtual disk. */
export interface FileSpan {
  /** Byte offset in the file. */
  readonly fileOffset: number;
  readonly length: number;
}

/**
 * An image in a local file, being written by workers. `place` is called in ascending order of offsets and says where the
 * bytes of that range belong; the caller writes them there, at any time before `finish`, through the file of its own.
 */
export interface PlacedWriter {
  readonly path: string;
  readonly size: number;
  /**
   * True when every byte has its place whatever else is placed, as in a raw image: zeros may be placed at no cost. In other
   * images what is placed and not written still makes the file longer.
   */
  readonly isFlat?: boolean;
  /** Reserves room for `[offset, offset + length)`; spans in order, their lengths sum to `length`. */
  place(offset: number, length: number): Promise<FileSpan[]> | FileSpan[];
  /** Writes the metadata, makes file and metadata durable, closes. Without it the file is not a valid image. */
  finish(): Promise<void>;
  /** Closes and removes the file. */
  abort(): Promise<void>;
}
