import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
/** The files whose tests are traits: named "claim (source)". */
const TRAIT_FILES = ['connection', 'endpoint', 'enumerating', 'instance', 'invoking', '../model/traits'];

test('docs/protocols/lab-wire.md lists every trait with its source and its test, and invents none', () => {
  const tested = TRAIT_FILES.flatMap((file) => traitsIn(`${file}.test.ts`));
  const document = readFileSync(join(root, 'docs/protocols/lab-wire.md'), 'utf8');
  const table = document.slice(document.indexOf('\n## Traits'));
  const rows = [...table.matchAll(/^\| (.+) \| (.+) \| `(\w+\.test\.ts)` \|$/gm)];
  const documented = rows.map(([, trait, source, file]) => `${trait} (${source}) ${file}`);
  assert.deepEqual(documented.sort(), tested.sort());
});

function traitsIn(file: string): string[] {
  const text = readFileSync(join(import.meta.dirname, file), 'utf8');
  const names = [...text.matchAll(/^test\(\s*(['"])((?:[^\\]|\\.)*?)\1, /gm)].map((match) =>
    match[2]!.replace(/\\(.)/g, '$1').replaceAll('|', '\\|'),
  );
  return names.map((name) => `${withSource(name)} ${basename(file)}`);
}

/** What no document or recording says is ours: it is marked as such in the table. */
function withSource(name: string): string {
  return name.endsWith(')') ? name : `${name} (by design)`;
}
