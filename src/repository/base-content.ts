/** What the base of a delta holds, for comparing: an over-reported range, or a whole disk whose change tracking was lost. */
import { isZero } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { bytesOf, gaplessRuns } from './cell-mask.ts';
import { CELLS, CELL_BYTES } from './format.ts';
import type { ObjectReader } from './object-reader.ts';
import { cellsOf, type Cell, type SlotEntry } from './slot.ts';

export class BaseContent {
  readonly #objects: ObjectReader;

  constructor(objects: ObjectReader) {
    this.#objects = objects;
  }

  /** Which cells of `mask` hold other bytes in `slot` than in the base entry. */
  async changedCells(base: SlotEntry, slot: Uint8Array, mask: number, options: CallOptions): Promise<number> {
    const chunks = new Map<string, Uint8Array>();
    let changed = 0;
    for (const [index, cell] of cellsOf(base).entries()) {
      if (((mask >>> index) & 1) === 0) continue;
      const content = bytesOf(slot, { cell: index, count: 1 });
      if (!sameContent(content, await this.#cellBytes(cell, chunks, options))) changed |= 1 << index;
    }
    return changed;
  }

  /** Puts the cells of `mask` into `slot` as the entry has them. */
  async fill(base: SlotEntry, slot: Uint8Array, mask: number, options: CallOptions): Promise<void> {
    const wanted = cellsOf(base).map((cell, index) => ((mask >>> index) & 1 ? cell : null));
    const ids = [...new Set(wanted.flatMap((cell) => cell?.id ?? []))];
    const read = async (id: string) => [id, await this.#objects.read('data', id, options)] as const;
    const chunks = new Map<string, Uint8Array>(await Promise.all(ids.map(read)));
    for (const run of gaplessRuns(mask)) bytesOf(slot, run).fill(0);
    for (const [index, cell] of wanted.entries()) {
      if (cell === null) continue;
      const into = bytesOf(slot, { cell: index, count: 1 });
      into.set(bytesOf(chunks.get(cell.id)!, { cell: cell.cell, count: 1 }).subarray(0, into.length));
    }
  }

  /** Do chunks of the entry hold bytes behind `length`? True after a disk shrank. */
  async reachesBeyond(base: SlotEntry, length: number): Promise<boolean> {
    const cells = cellsOf(base);
    for (let index = Math.floor(length / CELL_BYTES); index < CELLS; index += 1) {
      const cell = cells[index]!;
      if (cell === null) continue;
      const { rawLength } = await this.#objects.locate('data', cell.id);
      const inCell = Math.max(0, length - index * CELL_BYTES);
      if (rawLength > cell.cell * CELL_BYTES + inCell) return true;
    }
    return false;
  }

  async #cellBytes(cell: Cell, chunks: Map<string, Uint8Array>, options: CallOptions): Promise<Uint8Array> {
    if (cell === null) return new Uint8Array(0);
    const chunk = chunks.get(cell.id) ?? (await this.#objects.read('data', cell.id, options));
    chunks.set(cell.id, chunk);
    return bytesOf(chunk, { cell: cell.cell, count: 1 });
  }
}

/** `stored` may be shorter: what is missing of it reads as zeros. */
function sameContent(content: Uint8Array, stored: Uint8Array): boolean {
  const common = Math.min(content.length, stored.length);
  return (
    Buffer.compare(content.subarray(0, common), stored.subarray(0, common)) === 0 &&
    isZero(content.subarray(common))
  );
}
