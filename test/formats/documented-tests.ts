/**
 * Tables that say which test proves what, held against the tests.
 *
 *   | … | `src/vhdx/damage.test.ts` | VHDX_BAT_STATE: state 5 |      a test: the file has one of that name
 *   | … | — | hvlift never makes a file shorter |                     none, and why
 *
 * A name may be made of parts in a loop: what the parts become must stand in the file as well.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export interface DocumentedRow {
  readonly cells: readonly string[];
  /** `undefined` for a row that gives a reason instead. */
  readonly file: string | undefined;
  /** Of the test, or the reason. */
  readonly name: string;
}

/** The rows of all tables whose last columns are `file` and `test`. */
export function documentedRows(docPath: string): DocumentedRow[] {
  const rows: DocumentedRow[] = [];
  let inTable = false;
  for (const line of readFileSync(join(root, docPath), 'utf8').split('\n')) {
    if (/\| file \| test[^|]*\|$/.test(line)) inTable = true;
    else if (!line.startsWith('|')) inTable = false;
    else if (inTable && !line.startsWith('|---')) rows.push(rowOf(line));
  }
  return rows;
}

function rowOf(line: string): DocumentedRow {
  const cells = line.split('|').slice(1, -1);
  const [file, name] = cells.slice(-2).map((cell) => cell.trim()) as [string, string];
  return { cells: cells.map((cell) => cell.trim()), file: /^`(.+)`$/.exec(file)?.[1], name };
}

/** What is wrong with a row; `undefined` when nothing. */
export function defectOf({ file, name }: DocumentedRow): string | undefined {
  if (file === undefined) return name.length >= 20 ? undefined : `"${name}" is no reason`;
  const path = join(root, file);
  if (!existsSync(path)) return `${file} does not exist`;
  return hasTest(readFileSync(path, 'utf8'), name) ? undefined : `${file} has no test "${name}"`;
}

function hasTest(source: string, name: string): boolean {
  return namesIn(source).some((pattern) => {
    const parts = pattern.exec(name)?.slice(1);
    return parts?.every((part) => source.includes(part)) ?? false;
  });
}

/** Literals and templates that `test` is called with. */
function namesIn(source: string): RegExp[] {
  return [...source.matchAll(/\btest\(\s*(?:'((?:[^'\\]|\\.)*)'|`([^`]*)`)/g)].map((match) => {
    const text = match[1] ?? match[2]!;
    const pattern = text.split(/\$\{[^}]*\}/).map((piece) => RegExp.escape(piece));
    return new RegExp(`^${pattern.join('(.+?)')}$`, 's');
  });
}
