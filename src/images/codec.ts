/** Compression of grains and clusters: synchronous, run by the workers of {@link CompressPool}. */
import { constants, deflateRawSync, deflateSync, zstdCompressSync } from 'node:zlib';

/**
 * `zlib` is deflate with the header and the checksum of RFC 1950, as a VMDK has it; `deflate` is bare, as qcow2 has it.
 * `zstd` is one frame.
 */
export interface Codec {
  readonly name: 'zlib' | 'deflate' | 'zstd';
  readonly level: number;
}

export function compress(codec: Codec, raw: Uint8Array): Buffer {
  // One output buffer that always suffices: pieces of the default 16 KiB cost a third of the time.
  const chunkSize = raw.length + (raw.length >>> 8) + 256;
  if (codec.name === 'zstd') {
    const params = { [constants.ZSTD_c_compressionLevel]: codec.level };
    return zstdCompressSync(raw, { params, pledgedSrcSize: raw.length, chunkSize });
  }
  if (codec.name === 'zlib') return deflateSync(raw, { level: codec.level, chunkSize });
  // QEMU decompresses with a window of 4 KiB and no other.
  return deflateRawSync(raw, { level: codec.level, windowBits: 12, chunkSize });
}
