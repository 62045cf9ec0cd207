/** Compression of grains and clusters: synchronous, run by workers (`compress-job.ts`). */
import { constants, deflateRawSync, deflateSync, zstdCompressSync } from 'node:zlib';
import { free } from '../base/index.ts';

/**
 * `zlib` is deflate with the header and the checksum of RFC 1950, as a VMDK has it; `deflate` is bare, as qcow2 has it.
 * `zstd` is one frame.
 */
export interface Codec {
  readonly name: 'zlib' | 'deflate' | 'zstd';
  readonly level: number;
}

export function compress(codec: Codec, raw: Uint8Array): Buffer {
  if (codec.name === 'zstd') return zstd(raw, codec.level);
  const level = isDense(raw) ? constants.Z_NO_COMPRESSION : codec.level;
  const chunkSize = roomFor(raw);
  if (codec.name === 'zlib') return deflateSync(raw, { level, chunkSize });
  // QEMU decompresses with a window of 4 KiB and no other.
  return deflateRawSync(raw, { level, windowBits: 12, chunkSize });
}

/**
 * Whether there is next to nothing to gain: media, archives, what a guest encrypted. zstd says so in a twentieth of the time
 * that deflate takes to find no match.
 */
function isDense(raw: Uint8Array): boolean {
  const probe = zstd(raw, 1);
  const { length } = probe;
  free(probe);
  return length > raw.length * 0.97;
}

function zstd(raw: Uint8Array, level: number): Buffer {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  return zstdCompressSync(raw, { params, pledgedSrcSize: raw.length, chunkSize: roomFor(raw) });
}

/** One output buffer that always suffices: pieces of the default 16 KiB cost a third of the time. */
function roomFor(raw: Uint8Array): number {
  return raw.length + (raw.length >>> 8) + 256;
}
