import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandLine, CONFIG } from '../command-line.fixture.ts';
import { COLLECTED, PASSPHRASE, PRUNED } from '../fake-engine.fixture.ts';

const env = { HVLIFT_PASSPHRASE: PASSPHRASE };

test('without any rule nothing is pruned, and the repository is not opened', async () => {
  await using line = await CommandLine.open();
  const { code, stderr, calls } = await line.run(['prune'], { env });
  assert.deepEqual([code, calls], [2, []]);
  assert.match(stderr, /CLI_NO_RETENTION/);
});

test('rules of the command line go before those of the configuration', async () => {
  await using line = await CommandLine.open();
  const vms = "\nvms:\n  - { match: 'sql*', keep: { daily: 7 } }\n  - { match: lab, consistency: crash }\n";
  await writeFile(join(line.home, 'own.yaml'), CONFIG + vms, { mode: 0o600 });
  const retention = async (...argv: string[]) => {
    const { calls } = await line.run(['prune', '--config', 'own.yaml', '--no-gc', ...argv], { env });
    return (calls[0]!.request as { retention: unknown }).retention;
  };
  assert.deepEqual(await retention(), [{ match: 'sql*', keep: { daily: 7 } }]);
  assert.deepEqual(JSON.parse(JSON.stringify(await retention('--keep-last', '3'))), [
    { match: '*', keep: { last: 3 } },
  ]);
});

test('garbage is collected after pruning, unless it is left to a later run', async () => {
  await using line = await CommandLine.open();
  const run = (...argv: string[]) => line.run(['prune', '--keep-last', '1', ...argv], { env });
  const both = await run('--json');
  assert.deepEqual([both.code, both.json()], [0, { ...PRUNED, gc: COLLECTED }]);
  const asked = async (...argv: string[]) => (await run(...argv)).calls.map(({ call }) => call);
  assert.deepEqual(await asked('--no-gc'), ['prune']);
  assert.deepEqual(await asked('--dry-run'), ['prune']);
});

test('a dry run shows each point with what keeps it', async () => {
  await using line = await CommandLine.open();
  const { stdout } = await line.run(['prune', '--keep-last', '1', '--dry-run'], { env });
  assert.match(stdout, /a1b2c3d4e5f6a7b8 +web01 .* newest, daily/);
  assert.match(stdout, /b1b2c3d4e5f6a7b8 .* pinned +case 17/);
  assert.match(stdout, /c1b2c3d4e5f6a7b8 .* DROPPED/);
  assert.match(stdout, /1 restore point would be dropped, 2 kept/);
});

test('gc says what it deleted, what waits and for what', async () => {
  await using line = await CommandLine.open();
  const { code, stdout } = await line.run(['gc'], { env });
  assert.equal(code, 0);
  assert.match(stdout, /deleted: 3 packs, 3 MiB/);
  assert.match(
    stdout,
    /waiting until 1 backup that began before they were found dead has ended: 1 pack, 1 MiB/,
  );
  const dry = await line.run(['gc', '--dry-run', '--json'], { env });
  assert.deepEqual(dry.json(), { dryRun: true, ...COLLECTED });
});

test('a point is held with a reason, and let go', async () => {
  await using line = await CommandLine.open();
  assert.equal((await line.run(['points', 'pin', 'a1b2'], { env })).code, 64);
  const held = await line.run(['points', 'pin', 'a1b2', '--reason', 'case 17'], { env });
  assert.match(held.stdout, /point a1b2c3d4e5f6a7b8 is held: case 17/);
  const free = await line.run(['points', 'unpin', 'a1b2', '--json'], { env });
  assert.deepEqual(free.json(), { pointId: 'a1b2c3d4e5f6a7b8', wasHeld: true });
});

test('a policy is played forward; with a VM its points tell how much is stored', async () => {
  await using line = await CommandLine.open();
  const { code, stdout, calls } = await line.run(['policy', 'simulate', '--keep-daily', '7'], { env });
  assert.deepEqual([code, calls], [0, []]);
  assert.match(stdout, /36 +7 +7/);
  const known = await line.run(['policy', 'simulate', '--keep-daily', '7', '--vm', 'web01', '--json'], {
    env,
  });
  const { months } = known.json() as { months: { bytes: number }[] };
  assert.equal(months.at(-1)!.bytes, 7 * 512 * 2 ** 20);
  assert.equal((await line.run(['policy', 'simulate', '--keep-daily', '7', '--lock-days', '30'])).code, 2);
});

test('a policy that drops what the bucket of its repository locks is refused', async () => {
  await using line = await CommandLine.open();
  const bucket = (days: number): string =>
    `repositories:\n  cold:\n    path: s3://backups/hvlift\n    s3: { objectLock: { mode: compliance, days: ${days} } }\n`;
  const simulate = async (days: number): Promise<number> => {
    await writeFile(join(line.home, 'cold.yaml'), bucket(days), { mode: 0o600 });
    const argv = ['policy', 'simulate', '--config', 'cold.yaml', '--repo', 'cold', '--keep-daily', '7'];
    return (await line.run(argv)).code;
  };
  assert.deepEqual([await simulate(5), await simulate(30)], [0, 2]);
});
