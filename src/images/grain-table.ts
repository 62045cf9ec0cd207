/** The grain table of one span of 32 MiB at a time: 512 places in the file, 0 where a grain reads as zeros. */
import { viewOf } from '../base/index.ts';
import { ENTRY_SIZE, TABLE_ENTRIES } from './vmdk-format.ts';

export class GrainTable {
  /** The index of the table; -1 before the first. */
  span = -1;
  readonly bytes: Uint8Array = new Uint8Array(TABLE_ENTRIES * ENTRY_SIZE);
  readonly #view: DataView = viewOf(this.bytes);

  start(span: number): void {
    this.span = span;
    this.bytes.fill(0);
  }

  sectorAt(index: number): number {
    return this.#view.getUint32(index * ENTRY_SIZE, true);
  }

  set(index: number, sector: number): void {
    this.#view.setUint32(index * ENTRY_SIZE, sector, true);
  }
}

/** A grain directory: the sector of each table, filled to whole sectors. */
export function directoryBytes(sectors: Iterable<number>, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  let at = 0;
  for (const sector of sectors) {
    view.setUint32(at, sector, true);
    at += ENTRY_SIZE;
  }
  return bytes;
}
