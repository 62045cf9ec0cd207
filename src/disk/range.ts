import { diskFaults } from './faults.ts';

/** Throws `DISK_OUT_OF_RANGE` unless `[offset, offset + length)` lies inside `[0, size)`. */
export function checkRange(offset: number, length: number, size: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > size) {
    throw diskFaults.outOfRange({ offset, end: offset + length, size });
  }
}
