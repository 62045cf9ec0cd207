/** docs/operating/host.md says of each claim what proves it; this looks that the proof is there. */
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIVE_CHECKS } from '../../src/objectstore/index.ts';

const root = join(import.meta.dirname, '..', '..');
const text = readFileSync(join(root, 'docs/operating/host.md'), 'utf8');

/** Rows of the tables whose last column is `proved`, without their heads. */
function provedRows(): string[][] {
  return [...text.matchAll(/^\|[^\n]*\| proved \|\n\|[-|]+\|\n((?:\|[^\n]*\n)+)/gm)].flatMap((table) =>
    table[1]!
      .trim()
      .split('\n')
      .map((row) =>
        row
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      ),
  );
}

test('every claim about a host is marked proved, by tests that exist, or unproved', () => {
  const rows = provedRows();
  assert.ok(rows.length > 20, String(rows.length));
  for (const row of rows) {
    const proof = row.at(-1)!;
    const tests = [...proof.matchAll(/`([\w./-]+\.test\.ts)`/g)].map((match) => match[1]!);
    assert.match(proof, tests.length > 0 ? /^proved: / : /^unproved\b/, row[0]);
    for (const file of tests) assert.ok(existsSync(join(root, file)), `${file}, named for "${row[0]}"`);
  }
});

test('every finding of `hvlift doctor repo` is in the table of storage.md, in its order', () => {
  const storage = readFileSync(join(root, 'docs/operating/storage.md'), 'utf8');
  const section = storage.split('## What `hvlift doctor repo` finds')[1]!.split('\n## ')[0]!;
  const documented = [...section.matchAll(/^\| `([\w-]+)` \|/gm)].map((match) => match[1]!);
  const checks = LIVE_CHECKS.map(({ id }) => id);
  assert.deepEqual(documented, ['reach', 'repository', 'wire', ...checks, 'clean']);
});

test('every finding of the doctor is in its table, and nothing else', () => {
  const section = text.split('## What `hvlift doctor` finds')[1]!.split('\n## ')[0]!;
  const documented = [...section.matchAll(/^\| ((?:`[\w-]+`,? ?)+)\|/gm)]
    .flatMap((row) => [...row[1]!.matchAll(/`([\w-]+)`/g)])
    .map((match) => match[1]!)
    .filter((id) => id !== 'id');
  const source = globSync('src/doctor/*.ts', { cwd: root })
    .filter((file) => !file.endsWith('.test.ts') && !file.endsWith('/repository.ts'))
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  const fixed = [...source.matchAll(/\bid: '([\w-]+)'/g)].map((match) => match[1]!);
  const ports = ['winrm', 'smb', 'ssh'].map((use) => `port-${use}`);
  const logOns = ['kerberos', 'ntlm', 'basic', 'certificate', 'auto'].map((method) => `log-on-${method}`);
  assert.deepEqual(documented.sort(), [...new Set([...fixed, ...ports, ...logOns])].sort());
});
