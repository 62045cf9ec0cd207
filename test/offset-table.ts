/**
 * Offset tables of the format documents, so that a test can hold a document against the code.
 *
 * A table stands under a heading and has the columns `field`, `offset`, `size`, `meaning`:
 *
 *   ### Header
 *   | field | offset | size | meaning |
 *   |---|---|---|---|
 *   | `signature` | 0 | 4 | `head` |
 *
 * Offsets and sizes are bytes: decimal, or with a unit (`64 KiB`). The size `…` means "to the end", given as Infinity.
 * A field named `reserved` holds no value. What is malformed throws: a table that is skipped proves nothing.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseBytes } from '../src/base/index.ts';

export interface OffsetRow {
  readonly field: string;
  readonly offset: number;
  readonly size: number;
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const COLUMNS = ['field', 'offset', 'size', 'meaning'];

/** The rows under `heading` (its text, any level) of the document at `docPath`, relative to the project's root. */
export function offsetTable(docPath: string, heading: string): OffsetRow[] {
  const lines = readFileSync(join(root, docPath), 'utf8').split('\n');
  const section = sectionLines(lines, heading);
  assert.ok(section, `${docPath} has no heading "${heading}"`);
  const table = section.slice(section.findIndex((line) => line.startsWith('|')));
  const end = table.findIndex((line) => !line.startsWith('|'));
  const [header, , ...rows] = (end < 0 ? table : table.slice(0, end)).map(cells);
  assert.deepEqual(header, COLUMNS, `the columns under "${heading}" in ${docPath}`);
  assert.ok(rows.length > 0, `the table under "${heading}" in ${docPath} is empty`);
  return rows.map((row) => rowOf(row, `${docPath}, "${heading}"`));
}

interface DescribedStruct {
  readonly name: string;
  readonly size: number;
  readonly fields: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
}

/**
 * Asserts that the table under `heading` (default: the structure's name) and `described` agree on every field, both
 * ways, and that the rows leave no gap and end at the structure's size.
 */
export function assertDocumented(docPath: string, described: DescribedStruct, heading?: string): void {
  const rows = offsetTable(docPath, heading ?? described.name);
  const named = rows.filter((row) => row.field !== 'reserved');
  const inCode = Object.entries(described.fields).map(([field, f]) => ({
    field,
    offset: f.offset,
    size: f.size,
  }));
  const byOffset = (a: OffsetRow, b: OffsetRow): number => a.offset - b.offset;
  assert.deepEqual(named.toSorted(byOffset), inCode.toSorted(byOffset), `${described.name} in ${docPath}`);
  let reached = 0;
  for (const row of rows) {
    assert.equal(row.offset, reached, `"${row.field}" of ${described.name} follows the row before it`);
    reached += row.size;
  }
  assert.ok(
    reached === described.size || reached === Infinity,
    `${described.name} ends at ${described.size}`,
  );
}

function sectionLines(lines: readonly string[], heading: string): string[] | undefined {
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '').trim() === heading);
  if (start < 0) return undefined;
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#+ /.test(line));
  return end < 0 ? rest : rest.slice(0, end);
}

function cells(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('`', ''));
}

function rowOf(row: readonly string[], where: string): OffsetRow {
  const [field, offset, size] = row;
  assert.ok(field && offset && size, `a row of ${where} lacks a column`);
  return { field, offset: bytes(offset, where), size: size === '…' ? Infinity : bytes(size, where) };
}

function bytes(text: string, where: string): number {
  const value = parseBytes(text);
  assert.ok(value !== undefined, `"${text}" in ${where} is not a number of bytes`);
  return value;
}
