/** A function that holds something by `await using` lets go of it when it returns: a promise returned unawaited runs without it. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Lines of `text` that return a call unawaited in the block of an `await using`. */
function earlyReturns(text: string): string[] {
  const lines = text.split('\n');
  const indentOf = (line: string): number => line.length - line.trimStart().length;
  return lines.flatMap((line, at) => {
    if (!/^\s*await using /.test(line)) return [];
    const indent = indentOf(line);
    const end = lines.findIndex((next, i) => i > at && next.trim() !== '' && indentOf(next) < indent);
    return lines
      .slice(at, end < 0 ? undefined : end)
      .filter((next) => indentOf(next) === indent || next.trimStart().startsWith('if'))
      .filter((next) => /\breturn (?!new\b)[\w.#!?]+\(/.test(next) && !next.includes('await '));
  });
}

test('what a function holds lives until its work is done', () => {
  const sources = globSync('{src,lab,bench}/**/*.ts', { cwd: root }).filter((f) => !f.endsWith('.test.ts'));
  const found = sources.flatMap((file) =>
    earlyReturns(readFileSync(join(root, file), 'utf8')).map((line) => `${file}: ${line.trim()}`),
  );
  assert.deepEqual(found, []);
});

test('the mistake is recognised', () => {
  const wrong = 'async function f() {\n  await using lock = await take();\n  return run(lock);\n}\n';
  assert.deepEqual(earlyReturns(wrong), ['  return run(lock);']);
  assert.deepEqual(earlyReturns(wrong.replace('return run', 'return await run')), []);
});
