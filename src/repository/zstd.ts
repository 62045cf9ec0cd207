/**
 * zstd frames of known size. Level 1: at 1 MiB a frame it keeps two cores ahead of most sources at ×2 on system files. By the
 * system's library where there is one (`src/native`), else by Node.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { free } from '../base/index.ts';
import { systemZstd } from '../native/index.ts';
import { OBJECT_RAW_MAX } from './format.ts';

/** Below 3 % a frame costs a reader more time than the space is worth. */
const GAIN_MIN = 0.03;

/** Where frames are made, one at a time. */
let desk: Buffer | undefined;

/** Calls `use` with the frame, which is gone afterwards; with undefined when a frame would not pay. */
export function withFrame<T>(raw: Uint8Array, use: (frame: Uint8Array | undefined) => T): T {
  if (raw.length < 64) return use(undefined);
  const room = Math.floor(raw.length * (1 - GAIN_MIN));
  const system = systemZstd();
  if (!system) return withNodeFrame(raw, room, use);
  desk ??= Buffer.allocUnsafeSlow(OBJECT_RAW_MAX);
  const length = system.compress(raw, desk.subarray(0, room));
  return use(length === undefined ? undefined : desk.subarray(0, length));
}

/**
 * The content, at most `rawLength` bytes of it: a frame that claims more fails instead of filling the memory. In `room` where
 * that is given and large enough, and the system's library does it; else in memory of its own.
 */
export function decompress(frame: Uint8Array, rawLength: number, room?: Buffer): Buffer {
  const system = systemZstd();
  if (!system) {
    return zstdDecompressSync(frame, {
      maxOutputLength: rawLength + 1,
      chunkSize: rawLength + 64,
      params: { [constants.ZSTD_d_windowLogMax]: 25 },
    });
  }
  const raw =
    room && room.length >= rawLength ? room.subarray(0, rawLength) : Buffer.allocUnsafeSlow(rawLength);
  const length = system.decompress(frame, raw);
  if (length === undefined) throw new Error('not a frame, or too long a one');
  return raw.subarray(0, length);
}

function withNodeFrame<T>(raw: Uint8Array, room: number, use: (frame: Uint8Array | undefined) => T): T {
  const frame = zstdCompressSync(raw, {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
    pledgedSrcSize: raw.length,
    // One output buffer that always suffices: the default of 16 KiB pieces costs a third of the time.
    chunkSize: raw.length + (raw.length >>> 8) + 1024,
  });
  try {
    return use(frame.length <= room ? frame : undefined);
  } finally {
    free(frame);
  }
}
