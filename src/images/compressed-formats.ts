/**
 * The formats whose data is compressed. Bytes cannot be placed before they are compressed, so these are made from a disk
 * that is read, where the others are written into.
 */
import { basename } from 'node:path';
import { TiB } from '../base/index.ts';
import type { Disk } from '../disk/index.ts';
import { writeCompressedQcow2 } from './compressed-qcow2.ts';
import type { CompressOptions } from './compressed-pieces.ts';
import { checkFits, type FormatInfo } from './format-info.ts';
import type { ImageNameOptions } from './image-name.ts';
import { rawStream } from './raw-stream.ts';
import { writeStreamedImage } from './streamed-file.ts';
import type { VmdkOptions } from './vmdk-descriptor.ts';
import { vmdkStream } from './vmdk-stream.ts';

export type CompressedFormat = 'qcow2-zstd' | 'vmdk-stream';

export interface CompressedImageOptions extends CompressOptions, ImageNameOptions, VmdkOptions {}

interface CompressedFormatInfo extends FormatInfo {
  readonly write: (
    path: string,
    disk: Disk,
    options: CompressedImageOptions,
  ) => Promise<{ writtenBytes: number }>;
}

export const compressedFormats: Readonly<Record<CompressedFormat, CompressedFormatInfo>> = {
  'qcow2-zstd': {
    summary: 'qcow2 compressed with zstd; for QEMU 5.1 and later',
    extension: 'qcow2',
    sizeMax: 1024 * TiB,
    write: (path, disk, options) => writeCompressedQcow2(path, disk, { ...options, compression: 'zstd' }),
  },
  'vmdk-stream': {
    summary: 'compressed VMDK (streamOptimized); for uploads to vSphere',
    extension: 'vmdk',
    sizeMax: 64 * TiB,
    sectorSize: 512,
    write: async (path, disk, options) => {
      const bytes = vmdkStream(disk, { ...options, fileName: basename(path) });
      return { writtenBytes: await writeStreamedImage(path, bytes, options) };
    },
  },
};

/**
 * Reads the whole disk into an image at `path`; until it is complete its name ends in `.partial`, and nothing is left when
 * it fails. `writtenBytes` is data of the file. Throws as {@link createImage} does, and `IMAGE_FULL`.
 */
export async function writeCompressedImage(
  format: CompressedFormat,
  path: string,
  disk: Disk,
  options: CompressedImageOptions = {},
): Promise<{ writtenBytes: number }> {
  checkFits(format, compressedFormats[format], disk);
  return await compressedFormats[format].write(path, disk, options);
}

/** The formats that are written front to back without going back: they can go down a pipe. */
export type StreamFormat = 'raw' | 'vmdk-stream';

/** The bytes of the image. Throws as {@link writeCompressedImage} does, when the first piece is asked for. */
export async function* imageStream(
  format: StreamFormat,
  disk: Disk,
  options: CompressOptions & VmdkOptions = {},
): AsyncGenerator<Uint8Array> {
  if (format === 'vmdk-stream') checkFits(format, compressedFormats[format], disk);
  yield* format === 'raw' ? rawStream(disk, options) : vmdkStream(disk, options);
}
