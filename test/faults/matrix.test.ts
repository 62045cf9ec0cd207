/**
 * Every kind of request that a backup makes, struck once by every kind of fault, over the real wire: the run ends well or
 * with a code, the invariants of docs/architecture.md hold, and the next run ends well and leaves nothing of ours but its
 * mark. What came out is compared with docs/operating/fault-matrix.md; with HVLIFT_WRITE=1 rows that are not there yet are
 * added, as far as they are played. `matrix.long.ts` strikes every single request.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_KINDS } from './fault-kinds.ts';
import {
  Benches,
  canStrikeTogether,
  planOf,
  playCell,
  readLines,
  tableOf,
  writeLines,
  type Line,
} from './matrix.ts';
import { SCENARIOS, type Row, type Scenario } from './scenarios.ts';

/** Rows that no scenario before had, by what is asked. */
function firstOfEachKind(rows: readonly Row[], seen: Set<string>): Row[] {
  return rows.filter(({ request }) => !seen.has(request) && seen.add(request));
}

const NOT_PLAYED = '';

/**
 * One line for each row. Reads that a fault does not disturb are all struck in one run, everything else in runs of its own.
 * What is the same for every read (a slow answer, a time-out after which nothing is changed) is played for one of each sort; `matrix.long.ts` leaves nothing out.
 */
async function play(benches: Benches, scenario: Scenario, rows: readonly Row[]): Promise<Line[]> {
  const cells = new Map(rows.map((row) => [row, [] as string[]]));
  for (const fault of FAULT_KINDS) {
    const played = rows.filter((row) => !fault.sameForReads || isFirstOfItsSort(row, rows));
    const together = played.filter((row) => canStrikeTogether(row, fault));
    const alone = played.filter((row) => !together.includes(row)).map((row) => [row]);
    for (const struck of together.length > 0 ? [together, ...alone] : alone) {
      const targets = struck.map((row) => ({ row, place: row.places[0]! }));
      const outcome = await playCell(benches, scenario, targets, fault);
      for (const row of struck) cells.get(row)!.push(outcome);
    }
    for (const row of rows) if (!played.includes(row)) cells.get(row)!.push(NOT_PLAYED);
  }
  return [...cells].map(([{ request, after }, outcomes]) => [request, after, ...outcomes]);
}

/** Sorts of requests: Enumerate, Pull, WQL, Get, and every method. */
function isFirstOfItsSort(row: Row, rows: readonly Row[]): boolean {
  const sort = ({ request }: Row): string => request.split(' ')[0]!;
  return rows.find((each) => sort(each) === sort(row)) === row;
}

test('every kind of request struck by every kind of fault ends as docs/operating/fault-matrix.md says', async (t) => {
  await using benches = new Benches();
  const seen = new Set<string>();
  for (const scenario of SCENARIOS) {
    const plan = await planOf(benches, scenario);
    const lines = readLines(scenario);
    const rows = firstOfEachKind(plan, seen);
    for (const [index, line] of (await play(benches, scenario, rows)).entries()) {
      const row = rows[index]!;
      t.diagnostic(tableOf([line]).split('\n').at(-1)!);
      const known = lines.findIndex(([request, after]) => request === row.request && after === row.after);
      if (process.env['HVLIFT_WRITE'] === '1' && known < 0) lines.splice(plan.indexOf(row), 0, line);
      else assertKnown(line, lines[known]);
    }
    if (process.env['HVLIFT_WRITE'] === '1') writeLines(scenario, lines);
  }
  assert.ok(seen.size >= 20, `${seen.size} kinds of requests came up`);
});

/** A cell of the document may give several outcomes, of several requests of the kind. */
function assertKnown(line: Line, expected: Line | undefined): void {
  assert.ok(expected, `${line[0]} after ${line[1] || 'nothing'} is not in the document`);
  const wrong = line.filter(
    (cell, index) => cell !== NOT_PLAYED && !expected[index]!.split(' or ').includes(cell),
  );
  assert.deepEqual(wrong, [], `${line.join(' | ')}\nis in the document as\n${expected.join(' | ')}`);
}
