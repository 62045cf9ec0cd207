/** What is known of every format before an image is begun. */
import { imageFaults } from './faults.ts';

export interface FormatInfo {
  /** What `--format` help says. */
  readonly summary: string;
  /** What file names of this format end in, without the dot: hosts go by it. */
  readonly extension: string;
  /** Bytes; a larger disk does not fit the format. */
  readonly sizeMax: number;
}

/** Throws `IMAGE_SIZE_REFUSED`. */
export function checkSize(format: string, size: number, sizeMax: number): void {
  if (!Number.isSafeInteger(size) || size <= 0) {
    throw imageFaults.sizeRefused({ format, size, reason: 'a disk has at least one byte' });
  }
  if (size > sizeMax) {
    throw imageFaults.sizeRefused({ format, size, reason: `the format ends at ${sizeMax} bytes` });
  }
}
