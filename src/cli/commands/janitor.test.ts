import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandLine } from '../command-line.fixture.ts';
import type { JanitorCall } from '../engine.ts';
import { WEB01 } from '../fake-engine.fixture.ts';

const PENDING = { code: 'FLOW_MERGE_PENDING', message: 'not merged yet', remedy: 'watch it' };

test('each VM has a row: chain, bytes, room, what is ours and what is not, and the sum of what was removed', async () => {
  await using line = await CommandLine.open();
  const { code, stdout } = await line.run(['janitor']);
  assert.equal(code, 0);
  assert.deepEqual(stdout.split('\n'), [
    'VM     CHAIN  AVHDX  MERGE   FREE        OURS       OTHERS  MARKS',
    'web01      2  3 GiB  merged  C:\\ 40 GiB  1 removed  1 user  main 1, others 2',
    '1 checkpoint and 1 reference point removed',
    '',
  ]);
  const outcome = await line.run(['janitor', '--json']);
  assert.equal(outcome.json().vms[0].found.checkpoints[0].state, 'removed');
});

test('every configured repository is asked, or the one that is named; a dry run says what would go', async () => {
  await using line = await CommandLine.open();
  const config =
    'hosts: {hv1: {url: http://hv1, user: u, passwordEnv: P}}\nrepositories: {a: {path: ra}, b: {path: rb}}\n';
  const call = async (...argv: string[]): Promise<JanitorCall> =>
    (await line.run(['janitor', ...argv], { config, env: { P: 'x' } })).calls[0]!.request as JanitorCall;
  const all = await call();
  assert.deepEqual(
    all.repositories.map(({ name }) => name),
    ['a', 'b'],
  );
  assert.deepEqual([all.dryRun, all.byHand, all.mergeMinutes], [false, false, 60]);
  const one = await call('--repo', 'b', '--dry-run', '--by-hand', '--merge-minutes', '5');
  assert.deepEqual(
    one.repositories.map(({ name }) => name),
    ['b'],
  );
  assert.deepEqual([one.dryRun, one.byHand, one.mergeMinutes], [true, true, 5]);
  const { stdout } = await line.run(['janitor', '--dry-run']);
  assert.match(stdout, /would be removed; nothing was changed\n$/);
  assert.equal((await line.run(['janitor', '--merge-minutes', '0'])).code, 64);
});

test('what stays that should not is exit code 4, a VM that could not be looked at its own error; the others are shown', async () => {
  await using line = await CommandLine.open();
  const warned = await line.run(['janitor', '--json'], {
    engine: {
      async *janitor({ remark }) {
        remark(PENDING);
        yield { vm: WEB01, warnings: [PENDING] };
      },
    },
  });
  assert.equal(warned.code, 4);
  assert.deepEqual(warned.json().warnings, [PENDING]);
  const broken = await line.run(['janitor'], {
    engine: {
      async *janitor() {
        yield { vm: WEB01, warnings: [], error: new Error('gone') };
        yield { vm: { ...WEB01, name: 'web02' }, warnings: [] };
      },
    },
  });
  assert.equal(broken.code, 1);
  assert.match(broken.stdout, /web02 /);
});
