/** The formats an image can have, in one table: the CLI lists it, restore creates from it. */
import { GiB, TiB } from '../base/index.ts';
import { imageFaults } from './faults.ts';
import type { ImageWriter } from './image-writer.ts';
import { createQcow2Image } from './qcow2-image.ts';
import { createRawImage } from './raw-image.ts';
import { createFixedVhdImage, createVhdImage } from './vhd-image.ts';
import { createVhdxImage, type VhdxImageOptions } from './vhdx-image.ts';

export type ImageFormat = 'raw' | 'vhdx' | 'qcow2' | 'vhd' | 'vhd-fixed';

export interface ImageFormatInfo {
  /** What `--format` help says. */
  readonly summary: string;
  /** What file names of this format end in, without the dot: hosts go by it. */
  readonly extension: string;
  /** Bytes; a larger disk does not fit the format. */
  readonly sizeMax: number;
  readonly create: (path: string, options: CreateImageOptions) => Promise<ImageWriter>;
}

/**
 * Options a format has no place for are left aside: qcow2 and raw know no sector size, and all but VHDX no disk identity. A
 * VHD refuses sectors that are not its own.
 */
export type CreateImageOptions = Omit<VhdxImageOptions, 'blockSize'>;

export const imageFormats: Readonly<Record<ImageFormat, ImageFormatInfo>> = {
  raw: {
    summary: 'the bytes of the disk, sparse; for any platform',
    extension: 'raw',
    sizeMax: Number.MAX_SAFE_INTEGER,
    create: createRawImage,
  },
  vhdx: {
    summary: 'dynamic VHDX; for Hyper-V',
    extension: 'vhdx',
    sizeMax: 64 * TiB,
    create: createVhdxImage,
  },
  qcow2: {
    summary: 'qcow2 version 3, uncompressed; for KVM, Proxmox, OpenStack',
    extension: 'qcow2',
    sizeMax: 1024 * TiB,
    create: createQcow2Image,
  },
  vhd: {
    summary: 'dynamic VHD; for older Hyper-V, XenServer, CloudStack',
    extension: 'vhd',
    sizeMax: 2040 * GiB,
    create: createVhdImage,
  },
  'vhd-fixed': {
    summary: 'fixed VHD, sparse; for Azure',
    extension: 'vhd',
    sizeMax: 2040 * GiB,
    create: createFixedVhdImage,
  },
};

/**
 * Starts an image. Bytes go where `place` says, into the file `path` of the writer; `finish` makes the image durable and
 * gives it the name `path` of the call. Throws `IMAGE_EXISTS`, `IMAGE_UNFINISHED`, `IMAGE_SIZE_REFUSED`,
 * `IMAGE_SECTOR_SIZE_REFUSED`.
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
