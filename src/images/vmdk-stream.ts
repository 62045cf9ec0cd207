/**
 * A VMDK as a stream (streamOptimized): what OVF packages hold and vSphere takes as an upload.
 *
 *   header │ descriptor │ { marker, compressed grain } … │ marker, table │ … │ marker, directory │ marker, footer │ end
 *
 * Each table stands behind the grains it names, and the directory behind them all, so the file is written without going
 * back. The footer is the header once more, with the place of the directory. Memory: one table, and 4 bytes of directory
 * for each 32 MiB of the disk (8 MiB for 64 TiB), beside the pieces that are being compressed.
 */
import type { Disk } from '../disk/index.ts';
import { compressedPieces, type CompressOptions } from './compressed-pieces.ts';
import type { Codec } from './codec.ts';
import { checkSectorSize } from './format-info.ts';
import type { VmdkOptions } from './vmdk-descriptor.ts';
import { GRAIN, SECTOR } from './vmdk-format.ts';
import { VmdkStreamWriter } from './vmdk-stream-writer.ts';

export interface VmdkStreamOptions extends CompressOptions, VmdkOptions {
  /** The file name that the descriptor says; readers do not look for it. Default: `disk.vmdk`. */
  readonly fileName?: string;
  /** Of deflate, 1 to 9. Default: 3. */
  readonly level?: number;
}

const LEVEL_DEFAULT = 3;

/**
 * The bytes of the file, in pieces of up to about 1 MiB. The same disk and options (`contentId` among them) give the same
 * bytes, however many threads compress. Throws `IMAGE_FULL` beyond 2 TiB of compressed data,
 * `IMAGE_SECTOR_SIZE_REFUSED` for a disk of 4 KiB sectors.
 */
export async function* vmdkStream(disk: Disk, options: VmdkStreamOptions = {}): AsyncGenerator<Uint8Array> {
  checkSectorSize('VMDK', disk.logicalSectorSize);
  const codec: Codec = { name: 'zlib', level: options.level ?? LEVEL_DEFAULT };
  const shape = { unit: GRAIN, lastUnitMultiple: SECTOR, codec, keepIncompressible: false };
  const writer = new VmdkStreamWriter(disk.size);
  yield writer.head(options);
  for await (const piece of compressedPieces(disk, shape, options)) yield writer.grains(piece);
  yield writer.tail();
}
