/** The formats an image can have, in one table: the CLI lists it, restore creates from it. */
import { TiB } from '../base/index.ts';
import { imageFaults } from './faults.ts';
import type { ImageWriter } from './image-writer.ts';
import { createQcow2Image } from './qcow2-image.ts';
import { createRawImage } from './raw-image.ts';
import { createVhdxImage, type VhdxImageOptions } from './vhdx-image.ts';

export type ImageFormat = 'raw' | 'vhdx' | 'qcow2';

export interface ImageFormatInfo {
  /** What `--format` help says. */
  readonly summary: string;
  /** Bytes; a larger disk does not fit the format. */
  readonly sizeMax: number;
  readonly create: (path: string, options: CreateImageOptions) => Promise<ImageWriter>;
}

/** Options a format has no place for are left aside: qcow2 and raw know no sector size and no disk identity. */
export type CreateImageOptions = Omit<VhdxImageOptions, 'blockSize'>;

export const imageFormats: Readonly<Record<ImageFormat, ImageFormatInfo>> = {
  raw: {
    summary: 'the bytes of the disk, sparse; for any platform',
    sizeMax: Number.MAX_SAFE_INTEGER,
    create: createRawImage,
  },
  vhdx: {
    summary: 'dynamic VHDX; for Hyper-V',
    sizeMax: 64 * TiB,
    create: createVhdxImage,
  },
  qcow2: {
    summary: 'qcow2 version 3, uncompressed; for KVM, Proxmox, OpenStack',
    sizeMax: 1024 * TiB,
    create: createQcow2Image,
  },
};

/**
 * Starts an image. Bytes go where `place` says, into the file `path` of the writer; `finish` makes the image durable and
 * gives it the name `path` of the call. Throws `IMAGE_EXISTS`, `IMAGE_UNFINISHED`, `IMAGE_SIZE_REFUSED`.
 */
export async function createImage(
  format: ImageFormat,
  path: string,
  options: CreateImageOptions,
): Promise<ImageWriter> {
  const { size } = options;
  const { sizeMax, create } = imageFormats[format];
  if (!Number.isSafeInteger(size) || size <= 0) {
    throw imageFaults.sizeRefused({ format, size, reason: 'a disk has at least one byte' });
  }
  if (size > sizeMax) {
    throw imageFaults.sizeRefused({ format, size, reason: `the format ends at ${sizeMax} bytes` });
  }
  return await create(path, options);
}
