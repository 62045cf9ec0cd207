/** docs/reference/edge-cases.md is what the list says, and every test it names is there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defectOf } from '../formats/documented-tests.ts';
import { edgeCaseTables, edgeGroups } from './edge-cases.ts';

const root = join(import.meta.dirname, '..', '..');
test('there are 20 groups, and none is empty or without a test', () => {
  const groups = edgeGroups();
  assert.deepEqual(
    groups.map(({ number }) => number),
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  const bare = groups.filter(({ cases }) => cases.every(({ file }) => file === undefined));
  assert.deepEqual(bare, []);
});

test('every edge case names a test that exists, or a reason', () => {
  const cases = edgeGroups().flatMap((group) => group.cases);
  const defects = cases.flatMap(
    ({ what, file, test: name }) => defectOf({ cells: [what], file, name }) ?? [],
  );
  assert.deepEqual(defects, []);
});

test('docs/reference/edge-cases.md is as the list says', () => {
  const written = readFileSync(join(root, 'docs', 'reference', 'edge-cases.md'), 'utf8');
  assert.equal(written.trim(), edgeCaseTables().trim(), 'node scripts/list-edge-cases.ts writes it anew');
});
