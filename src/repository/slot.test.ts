import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CELLS, CELL_BYTES, SLOT_BYTES } from './format.ts';
import { cellsOf, entryOf, piecesOf, type Cell } from './slot.ts';

/** Few chunks and mostly identity places, so that bases, runs and gaps all occur. */
const anyCells = fc.array(
  fc.oneof(
    fc.constant(null),
    fc.record(
      { id: fc.constantFrom('a', 'b', 'c'), cell: fc.nat({ max: CELLS - 1 }) },
      { noNullPrototype: true },
    ),
    fc.constantFrom('a', 'b').map((id) => ({ id, cell: -1 })),
  ),
  { minLength: CELLS, maxLength: CELLS },
);
const placed = (cells: readonly Cell[]): Cell[] =>
  cells.map((cell, index) => (cell?.cell === -1 ? { id: cell.id, cell: index } : cell));

test('an entry says exactly the cells it was made of, in one form only', () => {
  fc.assert(
    fc.property(anyCells, (raw) => {
      const cells = placed(raw);
      const entry = entryOf(cells);
      assert.deepEqual(cellsOf(entry), cells);
      assert.deepEqual(entryOf(cellsOf(entry)), entry);
    }),
  );
});

test('pieces are ascending, inside the slot, and say the same as the cells', () => {
  fc.assert(
    fc.property(anyCells, fc.integer({ min: 1, max: SLOT_BYTES }), (raw, length) => {
      const cells = placed(raw);
      const pieces = piecesOf(entryOf(cells), length);
      const seen: Cell[] = Array.from({ length: CELLS }, () => null);
      let reached = 0;
      for (const piece of pieces) {
        assert.ok(piece.offset >= reached && piece.length > 0);
        reached = piece.offset + piece.length;
        for (let at = piece.offset; at < reached; at += CELL_BYTES) {
          seen[at / CELL_BYTES] = {
            id: piece.id,
            cell: (piece.sourceOffset + at - piece.offset) / CELL_BYTES,
          };
        }
      }
      assert.ok(reached <= length);
      const inside = Math.ceil(length / CELL_BYTES);
      assert.deepEqual(seen.slice(0, inside), cells.slice(0, inside));
    }),
  );
});

test('one changed cell of a chunk is one extent over that chunk; the cell put back is the chunk again', () => {
  const chunk = cellsOf({ kind: 'chunk', id: 'old' });
  const patched = chunk.with(7, { id: 'new', cell: 0 });
  assert.deepEqual(entryOf(patched), {
    kind: 'patched',
    base: 'old',
    extents: [{ cell: 7, count: 1, id: 'new', sourceCell: 0 }],
  });
  assert.deepEqual(entryOf(patched.with(7, { id: 'old', cell: 7 })), { kind: 'chunk', id: 'old' });
});

test('of bases that leave equally many extents zeros come first, then the chunk met first', () => {
  const [a, b] = [cellsOf({ kind: 'chunk', id: 'a' }), cellsOf({ kind: 'chunk', id: 'b' })];
  const halves = [...a.slice(0, 8), ...b.slice(8)];
  const over = (cell: number, count: number, id: string) => [{ cell, count, id, sourceCell: cell }];
  assert.deepEqual(entryOf(halves), { kind: 'patched', base: 'a', extents: over(8, 8, 'b') });
  const first = a.map((cell, index) => (index === 0 ? cell : null));
  assert.deepEqual(entryOf(first), { kind: 'patched', base: null, extents: over(0, 1, 'a') });
});
