import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GiB } from '../../base/index.ts';
import { CommandLine } from '../command-line.fixture.ts';
import { FOLDED, PASSPHRASE } from '../fake-engine.fixture.ts';

const env = { HVLIFT_PASSPHRASE: PASSPHRASE };

test('a dry run shows how many reads a restore takes, before and after', async () => {
  await using line = await CommandLine.open();
  const { code, stdout, calls } = await line.run(['fold', '--dry-run', '--vm', 'web01'], { env });
  assert.equal(code, 0);
  assert.match(stdout, /SLOTS +READS +AFTER +TO FOLD +STORES/);
  assert.match(stdout, /web01 +a1b2c3d4e5f6a7b8 +1 +2000 +16500 +2000 +1000 +1000 MiB/);
  assert.match(stdout, /1,?000 slots would be folded, for 1000 MiB before compression at most/);
  const { dryRun, vm } = calls[0]!.request as { dryRun: boolean; vm: string };
  assert.deepEqual([dryRun, vm], [true, 'web01']);
});

test('a fold says what became whole, and which point has it', async () => {
  await using line = await CommandLine.open();
  const { stdout, calls } = await line.run(['fold', '--budget', '100GiB'], { env });
  assert.match(stdout, /900 of 1000 +512 MiB +d1b2c3d4e5f6a7b8/);
  assert.match(stdout, /900 slots folded, 512 MiB stored/);
  assert.equal((calls[0]!.request as { bytesMax: number }).bytesMax, 100 * GiB);
  const document = (await line.run(['fold', '--json'], { env })).json();
  assert.deepEqual(document, FOLDED);
});

test('a budget that is no size is refused before the repository is opened', async () => {
  await using line = await CommandLine.open();
  for (const budget of ['5%', '0', 'much']) {
    const { code, calls } = await line.run(['fold', '--budget', budget], { env });
    assert.deepEqual([code, calls], [64, []]);
  }
});
