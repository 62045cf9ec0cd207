import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const src = join(dirname(fileURLToPath(import.meta.url)), '..');

/** What is loaded with a file, before anything of it runs. */
function loadedWith(file: string, known = new Set<string>()): Set<string> {
  known.add(file);
  const imports = readFileSync(file, 'utf8').matchAll(
    /^(?:import|export) (?!type\b)[^;]*?from '(\.[^']+)'/gm,
  );
  for (const [, name] of imports) {
    const path = join(dirname(file), name!);
    if (!known.has(path)) loadedWith(path, known);
  }
  return known;
}

test('help, the version and a mistyped option load the command line alone, not what does the work', () => {
  const loaded = [...loadedWith(join(src, 'cli', 'main.ts'))].map((path) => relative(src, path));
  assert.ok(loaded.includes(join('cli', 'commands', 'restore.ts')), 'the commands are among them');
  assert.deepEqual(
    loaded.filter((path) => !/^(cli|base)\b/.test(path)),
    [],
  );
});
