import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GiB, MiB } from '../base/index.ts';
import { CommandLine, Sink } from './command-line.fixture.ts';
import { backupRun } from './fake-engine.fixture.ts';
import { outputTo } from './output.fixture.ts';
import { ProgressJson } from './progress-json.ts';
import { ProgressLines } from './progress-lines.ts';

test('a log gets a line per phase, one every five seconds at first and one every thirty later', () => {
  const log = new Sink();
  const clock = { ms: 0 };
  const progress = new ProgressLines(outputTo(log), () => clock.ms);
  progress.phase('reading disk 1', 100 * GiB);
  for (clock.ms = 100; clock.ms <= 300_000; clock.ms += 100) progress.advance(10 * MiB);
  progress.end();
  const lines = log.text.trimEnd().split('\n');
  assert.equal(lines[0], 'reading disk 1: 100 GiB');
  assert.equal(lines[1], 'reading disk 1: 500 MiB of 100 GiB, 105 MB/s, 16:59 left');
  assert.match(lines.at(-1)!, /^reading disk 1: 29\.3 GiB in 5:00, 105 MB\/s$/);
  assert.equal(lines.length, 2 + 11 + 8);
  assert.doesNotMatch(log.text, /[\r\u001b]/); // oxlint-disable-line no-control-regex
});

test('JSON progress is one object a line, at most one a second, with the figures in bytes and seconds', () => {
  const log = new Sink();
  const clock = { ms: 0 };
  const progress = new ProgressJson(outputTo(log, { events: true }), () => clock.ms);
  progress.phase('reading', GiB);
  for (; clock.ms < 10_000; clock.ms += 50) progress.advance(MiB);
  progress.note('a decision');
  progress.end();
  const events = log.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(events[0], { event: 'phase', name: 'reading', totalBytes: GiB });
  assert.deepEqual(events.at(-2), { event: 'note', text: 'a decision' });
  assert.equal(events.at(-1)!['event'], 'phase-end');
  assert.equal(events.at(-1)!['doneBytes'], 200 * MiB);
  const between = events.slice(1, -2);
  assert.equal(between.length, 9);
  for (const { event, name, doneBytes, secondsLeft } of between) {
    assert.deepEqual(
      [event, name, typeof doneBytes, typeof secondsLeft],
      ['progress', 'reading', 'number', 'number'],
    );
  }
});

test('of several tasks every line and every event names its task', () => {
  const clock = { ms: 0 };
  const log = new Sink();
  const lines = new ProgressLines(outputTo(log), () => clock.ms);
  lines.phase('0 of 2 VMs');
  const [a, b] = [lines.branch('web01'), lines.branch('sql01')];
  a.phase('reading', GiB);
  b.phase('checkpoint');
  a.advance(MiB);
  b.note('removed a leftover');
  clock.ms = 6000;
  lines.tick();
  a.end();
  assert.deepEqual(log.text.trimEnd().split('\n'), [
    '0 of 2 VMs',
    'web01: reading: 1 GiB',
    'sql01: checkpoint',
    'sql01: removed a leftover',
    'web01: reading: 1 MiB of 1 GiB, 0.17 MB/s, 1:42:18 left',
    'sql01: checkpoint: 0:06 so far',
    'web01: reading: 1 MiB in 0:06, 0.17 MB/s',
  ]);
  const events = new Sink();
  const json = new ProgressJson(outputTo(events, { events: true }), () => clock.ms);
  const task = json.branch('web01');
  task.phase('reading', GiB);
  task.end();
  const tasks = events.text
    .trimEnd()
    .split('\n')
    .map((text) => (JSON.parse(text) as { task: string }).task);
  assert.deepEqual(tasks, ['web01', 'web01']);
});

test('with --progress json every line on stderr is JSON: notes, warnings and errors too', async () => {
  await using line = await CommandLine.open();
  const { stderr } = await line.run(['backup', 'web01', '--json', '--progress', 'json'], {
    engine: {
      async *backup(_request, { progress }) {
        progress.phase('reading', 1);
        progress.note('a decision');
        yield backupRun({ warnings: [{ code: 'W', message: 'merge' }], error: new Error('late') });
      },
    },
  });
  const events = stderr
    .trimEnd()
    .split('\n')
    .map((text) => (JSON.parse(text) as { event: string }).event);
  assert.deepEqual(events, ['phase', 'note', 'phase-end', 'warning', 'error']);
});

test('where progress goes by default: a bar on a terminal, lines elsewhere, nothing with --json', async () => {
  await using line = await CommandLine.open();
  const { Screen } = await import('./screen.fixture.ts');
  const shown = async (argv: string[], columns?: number, env = {}): Promise<string> => {
    const stderr = columns === undefined ? new Sink() : new Screen(columns);
    await line.run(argv, {
      stderr,
      env,
      engine: {
        async vms(_host, { progress }) {
          progress.phase('listing', 5);
          return [];
        },
      },
    });
    return stderr instanceof Screen ? stderr.written : stderr.text;
  };
  assert.match(await shown(['vms'], 80), /\r.*listing/);
  assert.equal(await shown(['vms'], 80, { TERM: 'dumb' }), 'listing: 5 B\n');
  assert.equal(await shown(['vms']), 'listing: 5 B\n');
  assert.equal(await shown(['vms', '--json'], 80), '');
  assert.equal(await shown(['vms', '--progress', 'none'], 80), '');
  assert.equal(await shown(['vms', '--progress', 'plain', '--json'], 80), 'listing: 5 B\n');
});
