/**
 * A VMDK in two files (monolithicFlat): `disk-flat.vmdk` has byte n of the disk at byte n, as a raw image has, and
 * `disk.vmdk` is the text that describes it. The description gets its name last: a flat file alone is no disk to VMware.
 */
import { rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { checkRange, type FileSpan } from '../disk/index.ts';
import { checkSectorSize } from './format-info.ts';
import { ImageFile } from './image-file.ts';
import type { ImageOptions, ImageWriter } from './image-writer.ts';
import { createRawImage } from './raw-image.ts';
import { vmdkDescriptor, type VmdkOptions } from './vmdk-descriptor.ts';
import { SECTOR, sectorsOf } from './vmdk-format.ts';

export interface VmdkFlatOptions extends ImageOptions, VmdkOptions {
  /** Of the disk's origin. A VMDK has 512 and no other: `IMAGE_SECTOR_SIZE_REFUSED`. */
  readonly logicalSectorSize?: number;

  /** The words of VMware Workstation, or those of ESXi for the same two files. Default: `monolithicFlat`. */
  readonly createType?: 'monolithicFlat' | 'vmfs';
}

/** The name of the file that holds the bytes of the disk described by `path`. */
export function flatFileOf(path: string): string {
  const extension = extname(path) === '.vmdk' ? '.vmdk' : '';
  return join(dirname(path), `${basename(path, extension)}-flat.vmdk`);
}

/** Creates `<path>.partial`, and that of the flat file. Throws as {@link createRawImage} does. */
export async function createVmdkFlatImage(path: string, options: VmdkFlatOptions): Promise<ImageWriter> {
  checkSectorSize('VMDK', options.logicalSectorSize ?? 512);
  // A check is of the content, which lies in the other file.
  const descriptor = await ImageFile.create(path, { overwrite: options.overwrite ?? false });
  try {
    // Whole sectors: a description counts in them, and a shorter file would end inside the last.
    const size = sectorsOf(options.size) * SECTOR;
    const flat = await createRawImage(flatFileOf(descriptor.name.finalPath), { ...options, size });
    return new VmdkFlatImage(descriptor, flat, options);
  } catch (error) {
    await descriptor.abort();
    throw error;
  }
}

class VmdkFlatImage implements ImageWriter {
  readonly size: number;
  readonly isFlat = true;
  readonly #descriptor: ImageFile;
  readonly #flat: ImageWriter;
  readonly #options: VmdkFlatOptions;
  #state: 'open' | 'flat-finished' | 'finished' = 'open';

  constructor(descriptor: ImageFile, flat: ImageWriter, options: VmdkFlatOptions) {
    this.size = options.size;
    this.#descriptor = descriptor;
    this.#flat = flat;
    this.#options = options;
  }

  get path(): string {
    return this.#flat.path;
  }

  get finalPath(): string {
    return this.#descriptor.name.finalPath;
  }

  place(offset: number, length: number): FileSpan[] | Promise<FileSpan[]> {
    checkRange(offset, length, this.size);
    return this.#flat.place(offset, length);
  }

  async finish(): Promise<void> {
    const { createType = 'monolithicFlat' } = this.#options;
    const extent = {
      type: createType === 'vmfs' ? 'VMFS' : 'FLAT',
      fileName: basename(this.#flat.finalPath),
    } as const;
    await this.#descriptor.write(0, Buffer.from(vmdkDescriptor({ ...this.#options, createType, extent })));
    await this.#flat.finish();
    this.#state = 'flat-finished';
    await this.#descriptor.finish();
    this.#state = 'finished';
  }

  async abort(): Promise<void> {
    if (this.#state === 'flat-finished') await rm(this.#flat.finalPath, { force: true });
    await this.#flat.abort();
    await this.#descriptor.abort();
  }
}
