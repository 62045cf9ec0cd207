/** The formats that bytes can be placed in, in one table: the CLI lists it, restore creates from it. */
import { GiB, TiB } from '../base/index.ts';
import { checkFits, type FormatInfo } from './format-info.ts';
import type { ImageWriter } from './image-writer.ts';
import { createQcow2Image } from './qcow2-image.ts';
import { createRawImage } from './raw-image.ts';
import { createFixedVhdImage, createVhdImage } from './vhd-image.ts';
import { createFixedVhdxImage, createVhdxImage, type VhdxImageOptions } from './vhdx-image.ts';
import type { VmdkOptions } from './vmdk-descriptor.ts';
import { createVmdkFlatImage, flatFileOf } from './vmdk-flat-image.ts';
import { createVmdkImage, SPARSE_SIZE_MAX } from './vmdk-image.ts';

export type ImageFormat =
  | 'raw'
  | 'vhdx'
  | 'vhdx-fixed'
  | 'qcow2'
  | 'vhd'
  | 'vhd-fixed'
  | 'vmdk'
  | 'vmdk-flat';

export interface ImageFormatInfo extends FormatInfo {
  readonly create: (path: string, options: CreateImageOptions) => Promise<ImageWriter>;
}

/**
 * Options a format has no place for are left aside: qcow2 and raw know no sector size, all but VHDX no disk identity, all but
 * VMDK no adapter. VHD and VMDK refuse sectors that are not their own.
 */
export type CreateImageOptions = Omit<VhdxImageOptions, 'blockSize'> & VmdkOptions;

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
  'vhdx-fixed': {
    summary: 'fixed VHDX, sparse; for Hyper-V where no disk may grow',
    extension: 'vhdx',
    sizeMax: 64 * TiB,
    create: createFixedVhdxImage,
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
    sectorSize: 512,
    create: createVhdImage,
  },
  'vhd-fixed': {
    summary: 'fixed VHD, sparse; for Azure',
    extension: 'vhd',
    sizeMax: 2040 * GiB,
    sectorSize: 512,
    create: createFixedVhdImage,
  },
  vmdk: {
    summary: 'VMDK of one growing file (monolithicSparse); for VMware Workstation and VirtualBox',
    extension: 'vmdk',
    sizeMax: SPARSE_SIZE_MAX,
    sectorSize: 512,
    create: createVmdkImage,
  },
  'vmdk-flat': {
    summary: 'VMDK as description and flat file, sparse; for VMware',
    extension: 'vmdk',
    sizeMax: 64 * TiB,
    sectorSize: 512,
    create: createVmdkFlatImage,
  },
};

/** The files an image at `path` will have, `path` first: what must not be there before. */
export function filesOfImage(format: ImageFormat, path: string): string[] {
  return format === 'vmdk-flat' ? [path, flatFileOf(path)] : [path];
}

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
  checkFits(format, imageFormats[format], options);
  return await imageFormats[format].create(path, options);
}
