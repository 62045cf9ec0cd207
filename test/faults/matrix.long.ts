/**
 * The whole matrix: every request of every run, struck by every fault. With HVLIFT_WRITE=1 the tables of
 * docs/operating/fault-matrix.md are written anew instead of compared.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAULT_KINDS } from './fault-kinds.ts';
import { Benches, planOf, playCell, readLines, tableOf, writeLines, type Line } from './matrix.ts';
import { SCENARIOS, type Row, type Scenario } from './scenarios.ts';

/** Requests of a kind may differ in what a fault does to them: then every outcome stands in the cell. */
async function play(benches: Benches, scenario: Scenario, row: Row): Promise<Line> {
  const cells: string[] = [];
  for (const fault of FAULT_KINDS) {
    const outcomes = new Set<string>();
    for (const place of row.places) outcomes.add(await playCell(benches, scenario, [{ row, place }], fault));
    cells.push([...outcomes].sort().join(' or '));
  }
  return [row.request, row.after, ...cells];
}

for (const scenario of SCENARIOS) {
  void test(`${scenario.name}, struck by every fault at every request, ends as the document says`, async (t) => {
    await using benches = new Benches();
    const lines: Line[] = [];
    for (const row of await planOf(benches, scenario)) lines.push(await play(benches, scenario, row));
    t.diagnostic(tableOf(lines));
    if (process.env['HVLIFT_WRITE'] === '1') return writeLines(scenario, lines);
    assert.deepEqual(readLines(scenario), lines);
  });
}
