import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandLine } from '../command-line.fixture.ts';
import { PASSPHRASE } from '../fake-engine.fixture.ts';

const env = { HVLIFT_PASSPHRASE: PASSPHRASE };

test('points are copied from the configured repository into the one named, each told as it is done', async () => {
  await using line = await CommandLine.open();
  const { code, stdout, calls } = await line.run(['points', 'copy', 'a1b2', '--to', './other'], { env });
  assert.equal(code, 0);
  const { to, repository, points } = calls[0]!.request as {
    to: { path: string };
    repository: { name: string };
    points: string[];
  };
  assert.deepEqual([to.path, repository.name, points], [`${line.home}/other`, 'main', ['a1b2']]);
  assert.match(stdout, /^a1b2 of web01, 2026-11-23 08:00:00Z: 1 GiB read, 512 MiB stored\n$/);
});

test('which points are copied is said in one way, and never left open', async () => {
  await using line = await CommandLine.open();
  for (const argv of [[], ['a1b2', '--all'], ['a1b2', '--vm', 'web01'], ['--vm', 'web01', '--all']]) {
    const { code, calls } = await line.run(['points', 'copy', ...argv, '--to', './other'], { env });
    assert.deepEqual([code, calls], [64, []]);
  }
  assert.equal((await line.run(['points', 'copy', 'a1b2'], { env })).code, 64);
});
