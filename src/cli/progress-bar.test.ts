import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, MiB } from '../base/index.ts';
import { outputTo } from './output.fixture.ts';
import { barLine, ProgressBar } from './progress-bar.ts';
import type { PhaseState } from './rate.ts';
import { Screen } from './screen.fixture.ts';
import { textWidth } from './text-width.ts';

/** A bar on a screen, with a clock the test turns. */
function drawing(columns: number) {
  const screen = new Screen(columns);
  const clock = { ms: 0 };
  const output = outputTo(screen);
  return { screen, clock, output, bar: new ProgressBar(output, () => clock.ms) };
}

const HALF: PhaseState = {
  name: 'web01: reading disk 1',
  doneBytes: GiB,
  totalBytes: 2 * GiB,
  seconds: 10,
  bytesPerSecond: 107 * 1e6,
  secondsLeft: 10,
};

test('the bar shows phase, share, sizes, rate and time left on one line that is redrawn', () => {
  const { screen, clock, bar } = drawing(120);
  bar.phase('web01: reading disk 1', 2 * GiB);
  for (clock.ms = 1000; clock.ms <= 10_000; clock.ms += 1000) bar.advance(107 * MiB);
  assert.equal(screen.lines.length, 1);
  assert.match(
    screen.lines[0]!,
    /^web01: reading disk 1  \[=+> +\]   52%  1\.04 GiB of 2 GiB  112 MB\/s  0:09 left$/,
  );
});

test('the ^C that a terminal writes behind the bar goes with it', () => {
  for (const columns of [20, 40, 80, 100]) {
    const { screen, output, clock, bar } = drawing(columns);
    bar.phase('full of a disk with quite a long name.vhdx', 2 * GiB);
    for (clock.ms = 1000; clock.ms <= 5000; clock.ms += 1000) bar.advance(107 * MiB);
    screen.write('^C');
    output.say('stopping');
    bar.end();
    assert.equal(screen.lines[0], 'stopping', `${columns} columns`);
  }
});

test('the bar is drawn at most ten times a second, however often progress comes', () => {
  const { screen, clock, bar } = drawing(80);
  bar.phase('reading', 10 * GiB);
  const before = screen.writes;
  for (let i = 0; i < 10_000; i += 1) {
    clock.ms = i;
    bar.advance(MiB);
  }
  assert.ok(screen.writes - before <= 100, `${screen.writes - before} writes in ten seconds`);
  assert.ok(screen.writes - before >= 90);
});

test('a finished phase leaves a line with its size, time and rate; the bar itself is gone', () => {
  const { screen, clock, bar } = drawing(100);
  bar.phase('reading disk 1', GiB);
  clock.ms = 10_000;
  bar.advance(GiB);
  bar.phase('waiting for the merge');
  clock.ms = 11_000;
  bar.end();
  assert.deepEqual(screen.lines, ['reading disk 1: 1 GiB in 0:10, 107 MB/s']);
});

test('notes, warnings and results are written above the bar, which stays the last line', async () => {
  const screen = new Screen(100);
  const output = outputTo(screen, { stdout: screen });
  const bar = new ProgressBar(output, () => 0);
  bar.phase('reading', GiB);
  bar.note('disk 1 is read in full: no baseline');
  output.warn({ code: 'W', message: 'careful' });
  await output.lines(['web01: done']);
  assert.deepEqual(screen.lines.slice(0, 3), [
    'disk 1 is read in full: no baseline',
    'warning W: careful',
    'web01: done',
  ]);
  assert.match(screen.lines[3]!, /^reading/);
  assert.equal(screen.lines.length, 4);
});

test('a stall is seen: the rate falls without any progress being reported', () => {
  const { screen, clock, bar } = drawing(100);
  bar.phase('reading', 10 * GiB);
  for (; clock.ms < 10_000; clock.ms += 500) bar.advance(50 * MiB);
  assert.match(screen.lines[0]!, /\b1\d\d MB\/s/);
  for (; clock.ms < 25_000; clock.ms += 1000) bar.tick();
  assert.match(screen.lines[0]!, /\b0\.00 MB\/s/);
});

test('a phase that brings more than it announced stays at 100 %', () => {
  const { screen, clock, bar } = drawing(100);
  bar.phase('reading', MiB);
  clock.ms = 1000;
  bar.advance(3 * MiB);
  assert.match(screen.lines[0]!, /100%/);
});

test('a terminal made narrower or wider has no rests of the old bar on it', () => {
  for (const [from, to] of [
    [120, 40],
    [120, 25],
    [40, 120],
  ] as const) {
    const { screen, clock, bar } = drawing(from);
    bar.note('kept');
    bar.phase('reading disk 1', 10 * GiB);
    clock.ms = 1000;
    bar.advance(GiB);
    screen.resize(to);
    clock.ms = 2000;
    bar.tick();
    assert.equal(screen.lines.length, 2, `${from} → ${to}: ${screen.lines.join(' | ')}`);
    assert.equal(screen.lines[0], 'kept');
  }
});

test('the line never exceeds the terminal; the share and the time left are the last to go', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.nat(3 * 1024 ** 4),
      fc.option(fc.nat(3 * 1024 ** 4), { nil: undefined }),
      (columns, name, doneBytes, totalBytes) => {
        const screen = new Screen(columns);
        const output = outputTo(screen);
        const bar = new ProgressBar(output, () => 0);
        bar.phase(name, totalBytes);
        bar.advance(doneBytes);
        assert.ok(screen.lines.length <= 1, screen.lines.join('|'));
      },
    ),
  );
  assert.equal(barLine(HALF, 40), 'web01: readi…   50%  107 MB/s  0:10 left');
  for (const cells of [30, 40, 60, 80, 120]) {
    const line = barLine(HALF, cells);
    assert.ok(textWidth(line) <= cells, line);
    assert.match(line, /50%.*0:10 left$/);
  }
});

test('tasks that run at once have a line each under one for all, none wider than 80 columns, and leave none', () => {
  const { screen, clock, bar } = drawing(80);
  bar.phase('12 of 30 VMs');
  const tasks = ['sql01', 'web01', 'a-server-with-quite-a-long-name-in-accounting'].map((name) =>
    bar.branch(name),
  );
  for (const task of tasks) task.phase('full disk.vhdx', 10 * GiB);
  for (clock.ms = 1000; clock.ms <= 10_000; clock.ms += 1000)
    for (const task of tasks) task.advance(50 * MiB);
  assert.equal(screen.lines.length, 4);
  assert.match(screen.lines[0]!, /^12 of 30 VMs {2}1\.\d+ GiB {2}1\d\d MB\/s {2}0:\d\d$/);
  assert.match(screen.lines[1]!, /^sql01: full disk\.vhdx +(\[=*> +\] +)?4% .*left$/);
  for (const line of screen.lines) assert.ok(textWidth(line) < 80, line);
  tasks[0]!.note('leftover removed');
  tasks[1]!.end();
  clock.ms += 1000;
  bar.tick();
  assert.equal(screen.lines[0], 'sql01: leftover removed');
  assert.equal(screen.lines.length, 4);
  assert.match(screen.lines[2]!, /^sql01/);
  assert.match(screen.lines[3]!, /^a-server/);
  tasks[0]!.end();
  tasks[2]!.end();
  bar.end();
  assert.deepEqual(screen.lines, ['sql01: leftover removed']);
});

test('of many tasks eight are shown and the rest is counted; a narrowed terminal keeps nothing of them', () => {
  const { screen, clock, bar } = drawing(100);
  bar.note('kept');
  bar.phase('0 of 30 VMs');
  for (let n = 0; n < 12; n += 1) bar.branch(`vm${n}`).phase('reading', GiB);
  clock.ms = 1000;
  bar.tick();
  assert.equal(screen.lines.length, 1 + 1 + 8);
  assert.match(screen.lines[1]!, /^0 of 30 VMs, 4 more at work/);
  screen.resize(30);
  clock.ms = 2000;
  bar.tick();
  assert.equal(screen.lines.length, 1 + 1 + 8);
  assert.equal(screen.lines[0], 'kept');
});
