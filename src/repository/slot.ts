/**
 * What a slot of 1 MiB holds, as the map says it.
 *
 *   ZERO        nothing but zeros
 *   CHUNK       one chunk; what lies behind its end reads as zeros
 *   PATCHED     a base (a chunk, or zeros) and extents over it, on the grid of 64 KiB cells
 *
 * An entry always says the final content: there is no chain to follow, however many generations made it. Between two
 * forms an entry is 16 *cells*, each naming the chunk and the cell inside that chunk it comes from. {@link entryOf} makes the
 * one canonical entry of 16 cells, so equal sources give equal bytes and an unchanged disk an unchanged root.
 */
import { CELLS, CELL_BYTES, SLOT_BYTES } from './format.ts';

/** Where a cell comes from; null: zeros. */
export type Cell = { readonly id: string; readonly cell: number } | null;

export interface SlotExtent {
  /** First cell in the slot. */
  readonly cell: number;
  /** Cells, at least one. */
  readonly count: number;
  /** The chunk, as hexadecimal id; null: zeros. */
  readonly id: string | null;
  /** First cell inside the chunk. */
  readonly sourceCell: number;
}

export type SlotEntry =
  | null
  | { readonly kind: 'chunk'; readonly id: string }
  | { readonly kind: 'patched'; readonly base: string | null; readonly extents: readonly SlotExtent[] };

/** A run of a slot that comes from one chunk without a gap. Bytes. */
export interface Piece {
  /** In the slot. */
  readonly offset: number;
  readonly length: number;
  readonly id: string;
  /** In the chunk; what lies behind the chunk's end reads as zeros. */
  readonly sourceOffset: number;
}

export function cellsOf(entry: SlotEntry): Cell[] {
  const base = entry === null ? null : entry.kind === 'chunk' ? entry.id : entry.base;
  const cells = Array.from({ length: CELLS }, (_, cell): Cell => (base === null ? null : { id: base, cell }));
  if (entry?.kind !== 'patched') return cells;
  for (const extent of entry.extents) {
    for (let i = 0; i < extent.count; i += 1) {
      cells[extent.cell + i] = extent.id === null ? null : { id: extent.id, cell: extent.sourceCell + i };
    }
  }
  return cells;
}

/** The canonical entry: the base that leaves the fewest extents, zeros before chunks, the first chunk before later ones. */
export function entryOf(cells: readonly Cell[]): SlotEntry {
  let best = { base: null as string | null, extents: extentsOver(null, cells) };
  const bases = new Set(cells.map((cell, index) => (cell?.cell === index ? cell.id : undefined)));
  bases.delete(undefined);
  for (const base of bases) {
    const extents = extentsOver(base!, cells);
    if (extents.length < best.extents.length) best = { base: base!, extents };
  }
  if (best.extents.length > 0) return { kind: 'patched', ...best };
  return best.base === null ? null : { kind: 'chunk', id: best.base };
}

function extentsOver(base: string | null, cells: readonly Cell[]): SlotExtent[] {
  const extents: SlotExtent[] = [];
  for (let index = 0; index < cells.length; index += 1) {
    const cell = cells[index]!;
    if (isFromBase(base, cell, index)) continue;
    const last = extents.at(-1);
    if (last && continues(last, cell, index))
      extents[extents.length - 1] = { ...last, count: last.count + 1 };
    else extents.push({ cell: index, count: 1, id: cell?.id ?? null, sourceCell: cell?.cell ?? 0 });
  }
  return extents;
}

function isFromBase(base: string | null, cell: Cell, index: number): boolean {
  return cell === null ? base === null : cell.id === base && cell.cell === index;
}

function continues(last: SlotExtent, cell: Cell, index: number): boolean {
  if (last.cell + last.count !== index || last.id !== (cell?.id ?? null)) return false;
  return cell === null || last.sourceCell + last.count === cell.cell;
}

/** The slot's content as runs of chunks, ascending; what is not named is zeros. `length` is less than 1 MiB for a last slot. */
export function piecesOf(entry: SlotEntry, length: number = SLOT_BYTES): Piece[] {
  if (entry === null) return [];
  if (entry.kind === 'chunk') return [{ offset: 0, length, id: entry.id, sourceOffset: 0 }];
  const runs = extentsOver(null, cellsOf(entry));
  return runs
    .map((run) => ({
      offset: run.cell * CELL_BYTES,
      length: Math.min(run.count * CELL_BYTES, length - run.cell * CELL_BYTES),
      id: run.id!,
      sourceOffset: run.sourceCell * CELL_BYTES,
    }))
    .filter((piece) => piece.length > 0);
}

export function sameCell(a: Cell, b: Cell): boolean {
  return a === null || b === null ? a === b : a.id === b.id && a.cell === b.cell;
}
