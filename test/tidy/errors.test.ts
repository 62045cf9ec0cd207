/** docs/reference/errors.md names every fault the code declares, with its kind and remedy, and invents none. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { declaredFaults } from '../../src/base/index.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

test('docs/reference/errors.md lists exactly the declared codes, each with its kind', async () => {
  for (const file of globSync('src/**/{faults,*-faults,cancel,stream}.ts', { cwd: root })) {
    await import(join(root, file));
  }
  const rows = readFileSync(join(root, 'docs/reference/errors.md'), 'utf8').matchAll(
    /^\| `([A-Z0-9_]+)` \| (\w+) \|/gm,
  );
  const documented = [...rows].map((row) => `${row[1]} ${row[2]}`).sort();
  const declared = [...declaredFaults].map(([code, fault]) => `${code} ${fault.kind}`).sort();
  assert.deepEqual(documented, declared);
});
