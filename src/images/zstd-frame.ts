/**
 * Where a zstd frame ends: RFC 8878, 3.1.1. A compressed cluster of a qcow2 image is one frame, and its entry says where it ends
 * to the sector only; what follows in that sector is the next cluster, which a decompressor would take for a second frame.
 */
import { viewOf } from '../base/index.ts';

/** As a little-endian u32. */
const MAGIC = 0xfd2fb528;
const DICTIONARY_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
/** Of a block: one byte, repeated. */
const RLE = 1;

/** Bytes of the frame at the start of `bytes`; `undefined` when there is none, or its end is not there. */
export function zstdFrameLength(bytes: Uint8Array): number | undefined {
  const view = viewOf(bytes);
  if (bytes.length < 5 || view.getUint32(0, true) !== MAGIC) return undefined;
  const descriptor = view.getUint8(4);
  const isSingle = (descriptor & 0x20) !== 0;
  const contentSize = CONTENT_SIZE_BYTES[descriptor >>> 6] || Number(isSingle);
  let at = 5 + Number(!isSingle) + DICTIONARY_BYTES[descriptor & 3]! + contentSize;
  for (let isLast = false; !isLast;) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) return undefined;
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    isLast = (header & 1) === 1;
    at += BLOCK_HEADER_BYTES + (((header >>> 1) & 3) === RLE ? 1 : header >>> 3);
  }
  const end = at + ((descriptor & 4) === 0 ? 0 : CHECKSUM_BYTES);
  return end <= bytes.length ? end : undefined;
}
