/** The tables of docs/formats that name tests: each exists, and nothing that must be proved is left out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defectOf, documentedRows } from './documented-tests.ts';

const defectsIn = (docPath: string): string[] =>
  documentedRows(docPath).flatMap((row) => defectOf(row) ?? []);

test('docs/formats/traps.md: each of the 24 traps has a test, and all of them exist', () => {
  const traps = documentedRows('docs/formats/traps.md');
  assert.deepEqual(
    [...new Set(traps.map(({ cells }) => Number(cells[0])))],
    Array.from({ length: 24 }, (_, n) => n + 1),
  );
  assert.ok(traps.every(({ file }) => file !== undefined));
  assert.deepEqual(defectsIn('docs/formats/traps.md'), []);
});

test('docs/formats/vhdx.md and vhd.md: each rule has a test that exists, or a reason', () => {
  for (const [docPath, atLeast] of [
    ['docs/formats/vhdx.md', 70],
    ['docs/formats/vhd.md', 20],
  ] as const) {
    const rules = documentedRows(docPath);
    assert.ok(rules.length >= atLeast, `${docPath} has ${rules.length} rules`);
    assert.ok(rules.filter(({ file }) => file !== undefined).length > rules.length / 2);
    assert.deepEqual(defectsIn(docPath), []);
  }
});

test('a test that does not exist is found, by its name or by a part that a loop gives it', () => {
  const row = (file: string, name: string): string | undefined => defectOf({ cells: [], file, name });
  assert.equal(row('src/vhdx/damage.test.ts', 'VHDX_BAT_STATE: state 5'), undefined);
  assert.match(row('src/vhdx/damage.test.ts', 'VHDX_BAT_STATE: a state that nobody tests')!, /has no test/);
  assert.match(row('src/vhdx/damage.test.ts', 'nothing')!, /has no test/);
  assert.match(row('src/vhdx/none.test.ts', 'nothing')!, /does not exist/);
});
