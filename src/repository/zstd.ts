/** zstd frames of known size. Level 1: at 1 MiB a frame it keeps two cores ahead of most sources at ×2 on system files. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { free } from '../base/index.ts';

/** Below 3 % a frame costs a reader more time than the space is worth. */
const GAIN_MIN = 0.03;

/** The frame, or undefined when it would not pay. */
export function compress(raw: Uint8Array): Buffer | undefined {
  if (raw.length < 64) return undefined;
  const frame = zstdCompressSync(raw, {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
    pledgedSrcSize: raw.length,
    // One output buffer that always suffices: the default of 16 KiB pieces costs a third of the time.
    chunkSize: raw.length + (raw.length >>> 8) + 1024,
  });
  if (frame.length <= raw.length * (1 - GAIN_MIN)) return frame;
  free(frame);
  return undefined;
}

/** The content, at most `rawLength` bytes of it: a frame that claims more fails instead of filling the memory. */
export function decompress(frame: Uint8Array, rawLength: number): Buffer {
  return zstdDecompressSync(frame, {
    maxOutputLength: rawLength + 1,
    chunkSize: rawLength + 64,
    params: { [constants.ZSTD_d_windowLogMax]: 25 },
  });
}
