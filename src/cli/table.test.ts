import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tableLines, type Column } from './table.ts';
import { cutTo, printable, textWidth } from './text-width.ts';

interface Row {
  readonly name: string;
  readonly size: string;
  readonly note: string;
}

const COLUMNS = [
  { title: 'NAME', cell: (row: Row) => row.name },
  { title: 'SIZE', align: 'right', cell: (row: Row) => row.size },
  { title: 'NOTE', cell: (row: Row) => row.note },
] as const;

test('columns align, numbers to the right, Japanese names included', () => {
  const lines = tableLines(COLUMNS, [
    { name: 'web01', size: '64 GiB', note: 'x' },
    { name: '業務サーバー', size: '1.5 TiB', note: '' },
    { name: 'ｻｰﾊﾞ', size: '1 B', note: '' },
  ]);
  assert.deepEqual(lines, [
    'NAME             SIZE  NOTE',
    'web01          64 GiB  x',
    '業務サーバー  1.5 TiB',
    'ｻｰﾊﾞ              1 B',
  ]);
});

test('a column that is empty in every row is left out; without rows the titles stay', () => {
  assert.deepEqual(tableLines(COLUMNS, [{ name: 'a', size: '1', note: '' }]), ['NAME  SIZE', 'a        1']);
  assert.deepEqual(tableLines(COLUMNS, []), ['NAME  SIZE  NOTE']);
});

test('whatever the cells hold, every line is one line and columns begin at the same cell', () => {
  const text = fc.string({ unit: 'binary', maxLength: 20 });
  fc.assert(
    fc.property(
      fc.array(fc.record({ name: text, size: text, note: fc.constant('|') }), { minLength: 1 }),
      (rows) => {
        const lines = tableLines(COLUMNS, rows);
        assert.equal(lines.length, rows.length + 1);
        const ends = lines.slice(1).map((line) => textWidth(line));
        assert.equal(new Set(ends).size, 1, lines.join('\n'));
        for (const line of lines) assert.equal(printable(line), line);
      },
    ),
  );
});

test('text cut to a width fits it and shows that it was cut', () => {
  assert.equal(cutTo('業務サーバー', 6), '業務…');
  assert.equal(cutTo('web01', 5), 'web01');
  assert.equal(cutTo('web01', 0), '');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, cells) => {
      assert.ok(textWidth(cutTo(printable(text), cells)) <= cells);
    }),
  );
});

test('a terminal too narrow loses the columns that say least, one by one, and never the others', () => {
  const columns: readonly Column<string>[] = [
    { title: 'NAME', cell: (row) => row },
    { title: 'LEAST', dropFirst: 1, cell: () => 'x' },
    { title: 'LITTLE', dropFirst: 2, cell: () => 'x' },
    { title: 'MUCH', cell: () => 'x' },
  ];
  const titles = (width?: number): string => tableLines(columns, ['web01'], width)[0]!.replaceAll(/ +/g, ' ');
  assert.equal(titles(), 'NAME LEAST LITTLE MUCH');
  assert.equal(titles('web01  LEAST  LITTLE  MUCH'.length), 'NAME LEAST LITTLE MUCH');
  assert.equal(titles('web01  LEAST  LITTLE  MUCH'.length - 1), 'NAME LITTLE MUCH');
  assert.equal(titles(13), 'NAME MUCH');
  assert.equal(titles(1), 'NAME MUCH');
});
