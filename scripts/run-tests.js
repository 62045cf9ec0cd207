/**
 * Runs test files as `node --test` does, each in a process of its own, but not in the order of the alphabet: those of
 * scripts/slow-tests.txt begin first, the longest at the head, so that none of them is left to run alone at the end. How long
 * each file took is in `.cache/test-times.txt` afterwards, in the form of that list; what was skipped in `.cache/skipped-tests.txt`.
 *
 *   node scripts/run-tests.js [--option-of-node]... FILE|PATTERN...
 */
import { createWriteStream, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import skipReporter from './skip-reporter.js';

const CACHE = '.cache';
/** One more than the processors of a small machine: most tests wait a third of their time, for other programs and for disks. */
const FILES_AT_ONCE = 3;

const given = process.argv.slice(2);
const files = ordered(filesOf(given.filter((arg) => !arg.startsWith('-'))));
const tests = run({
  files,
  concurrency: FILES_AT_ONCE,
  execArgv: given.filter((arg) => arg.startsWith('-')),
});
const seconds = new Map();

mkdirSync(CACHE, { recursive: true });
tests.on('test:summary', ({ file, duration_ms: ms, success }) => {
  if (file) seconds.set(relative(process.cwd(), file), ms / 1000);
  else if (!success) process.exitCode = 1;
});
tests.compose(new spec()).pipe(process.stdout);
tests.compose(skipReporter).pipe(createWriteStream(join(CACHE, 'skipped-tests.txt')));
tests.on('end', () => writeFileSync(join(CACHE, 'test-times.txt'), timesOf(seconds)));

/** What is named must be there: a mistyped name would else be no tests, all of which pass. */
function filesOf(patterns) {
  const found = patterns.map((pattern) => globSync(pattern, { exclude: (name) => name === 'node_modules' }));
  const missing = patterns.filter((_, index) => found[index].length === 0);
  if (missing.length > 0) throw new Error(`there is no test file ${missing.join(' ')}`);
  return [...new Set(found.flat())];
}

function ordered(names) {
  const slow = readFileSync(join('scripts', 'slow-tests.txt'), 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim());
  const place = (name) => (slow.includes(name) ? slow.indexOf(name) : slow.length);
  return names.toSorted((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
}

function timesOf(times) {
  return [...times]
    .toSorted((a, b) => b[1] - a[1])
    .map(([name, took]) => `${name}  # ${took.toFixed(1)}\n`)
    .join('');
}
