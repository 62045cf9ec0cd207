/** Compression of grains and clusters: synchronous, run by workers (`compress-job.ts`); and back, to see what was written. */
import {
  constants,
  deflateRawSync,
  deflateSync,
  inflateRawSync,
  inflateSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib';
import { free } from '../base/index.ts';
import { zstdFrameLength } from './zstd-frame.ts';

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

/** The content, at most `lengthMax` bytes. What follows it in `packed` is left aside. Throws what the decompressor says. */
export function decompress(name: Codec['name'], packed: Uint8Array, lengthMax: number): Buffer {
  const options = { maxOutputLength: lengthMax };
  if (name === 'zlib') return inflateSync(packed, options);
  if (name === 'deflate') return inflateRawSync(packed, options);
  const length = zstdFrameLength(packed);
  if (length === undefined) throw new Error('there is no whole zstd frame');
  return zstdDecompressSync(packed.subarray(0, length), options);
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
