/**
 * New files. They are filled by others: `place` says where the bytes of the disk belong, the caller's workers write them
 * there by path, and `finish` makes the file a VHD by writing its footers last. Without it there is no footer, so an
 * interrupted run cannot be mistaken for an image.
 */
import { KiB, MiB, newGuid } from '../base/index.ts';
import { LocalFile, type PlacedWriter } from '../disk/index.ts';
import { vhdFaults } from './faults.ts';
import { isDiskSize } from './footer.ts';
import { PlacedDynamic } from './placed-dynamic.ts';
import { PlacedFixed } from './placed-fixed.ts';

export interface CreateVhdOptions {
  /** Bytes; whole sectors of 512 bytes, up to 2040 GiB. */
  readonly size: number;
  readonly kind: 'dynamic' | 'fixed';
  /** Of a dynamic disk: 2 MiB (default) or 512 KiB; Windows makes no other. */
  readonly blockSize?: number;
  /** The identity of the file; a new one by default. */
  readonly uniqueId?: string;
}

/** Creates a VHD of zeros, sparse. Faults: `VHD_BAD_SHAPE`, `VHD_FILE_EXISTS`, `DISK_NO_SPACE`. */
export async function createVhd(path: string, options: CreateVhdOptions): Promise<void> {
  const writer = await createPlacedVhd(path, options);
  try {
    await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Creates the file to be filled. Faults: `VHD_BAD_SHAPE`, `VHD_FILE_EXISTS`. */
export async function createPlacedVhd(path: string, options: CreateVhdOptions): Promise<PlacedWriter> {
  const { size, kind, blockSize = 2 * MiB, uniqueId = newGuid() } = options;
  if (!isDiskSize(size)) throw vhdFaults.badShape({ what: 'size', value: size });
  if (blockSize !== 2 * MiB && blockSize !== 512 * KiB) {
    throw vhdFaults.badShape({ what: 'block size', value: blockSize });
  }
  const file = await LocalFile.create(path, vhdFaults.fileExists);
  return kind === 'fixed'
    ? new PlacedFixed(file, { size, uniqueId })
    : new PlacedDynamic(file, { size, uniqueId, blockSize });
}
