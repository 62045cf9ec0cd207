/** What is known of every format before an image is begun. */
import { imageFaults } from './faults.ts';

export interface FormatInfo {
  /** What `--format` help says. */
  readonly summary: string;
  /** What file names of this format end in, without the dot: hosts go by it. */
  readonly extension: string;
  /** Bytes; a larger disk does not fit the format. */
  readonly sizeMax: number;
  /** Bytes of a sector, where a disk can have no other. */
  readonly sectorSize?: 512;
}

/** Throws `IMAGE_SIZE_REFUSED`, `IMAGE_SECTOR_SIZE_REFUSED`: what can be known of a disk before an image of it is begun. */
export function checkFits(
  format: string,
  { sizeMax, sectorSize }: FormatInfo,
  disk: { readonly size: number; readonly logicalSectorSize?: number },
): void {
  checkSize(format, disk.size, sizeMax);
  if (sectorSize !== undefined) checkSectorSize(format, disk.logicalSectorSize ?? sectorSize);
}

/** Throws `IMAGE_SIZE_REFUSED`. */
function checkSize(format: string, size: number, sizeMax: number): void {
  if (!Number.isSafeInteger(size) || size <= 0) {
    throw imageFaults.sizeRefused({ format, size, reason: 'a disk has at least one byte' });
  }
  if (size > sizeMax) {
    throw imageFaults.sizeRefused({ format, size, reason: `the format ends at ${sizeMax} bytes` });
  }
}

/** Throws `IMAGE_SECTOR_SIZE_REFUSED`: for formats whose disks have sectors of 512 bytes and no others. */
export function checkSectorSize(format: string, logicalSectorSize: number): void {
  if (logicalSectorSize !== 512) throw imageFaults.sectorSizeRefused({ format, size: logicalSectorSize });
}
