import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandLine } from '../command-line.fixture.ts';
import { VERIFIED } from '../fake-engine.fixture.ts';

const DAMAGED = {
  ...VERIFIED,
  damaged: [
    {
      object: 'packs/ab/cdef',
      problem: 'its content does not have its id',
      affects: [
        {
          pointId: 'a1b2',
          vm: 'web01',
          disk: 1,
          extents: [
            { offset: 0, length: 1024 ** 2 },
            { offset: 5 * 1024 ** 2, length: 1024 ** 2 },
          ],
        },
      ],
      settings: [{ pointId: 'c3d4', vm: 'sql01' }],
    },
  ],
};

test('damage is exit code 3, and names the object and what cannot be restored', async () => {
  await using line = await CommandLine.open();
  const { code, stdout } = await line.run(['verify'], { engine: { verify: async () => DAMAGED } });
  assert.equal(code, 3);
  assert.deepEqual(stdout.split('\n'), [
    '2 restore points, 400 objects, 20 GiB read in 0:20, 1074 MB/s: 1 damaged object',
    'every byte in packs was read since 2026-11-20 08:00:00Z',
    'damaged: packs/ab/cdef: its content does not have its id',
    '  cannot be restored: 2 MiB in 2 ranges of disk 1 of web01 in point a1b2',
    '  cannot be restored: settings of sql01 in point c3d4',
    '',
  ]);
  const outcome = await line.run(['verify', '--json'], { engine: { verify: async () => DAMAGED } });
  assert.deepEqual([outcome.code, outcome.json()], [3, DAMAGED]);
});

test('damage outweighs a warning', async () => {
  await using line = await CommandLine.open();
  const warnings = [{ code: 'W', message: 'x' }];
  const verify = async () => ({ ...DAMAGED, warnings });
  assert.equal((await line.run(['verify'], { engine: { verify } })).code, 3);
  assert.equal(
    (await line.run(['verify'], { engine: { verify: async () => ({ ...VERIFIED, warnings }) } })).code,
    4,
  );
});

test('one point, the latest of a VM, or everything', async () => {
  await using line = await CommandLine.open();
  const point = async (...argv: string[]): Promise<unknown> =>
    ((await line.run(['verify', ...argv])).calls[0]!.request as { point?: unknown }).point;
  assert.deepEqual(await point('a1b2'), { kind: 'id', id: 'a1b2' });
  assert.deepEqual(await point('latest', '--vm', 'web01'), { kind: 'latest', vm: 'web01' });
  assert.equal(await point(), undefined);
  assert.equal(await point('--all'), undefined);
});

test('a budget is a share, a size or a time, and goes with no point', async () => {
  await using line = await CommandLine.open();
  for (const [text, budget] of [
    ['5%', { percent: 5 }],
    ['100GiB', { bytes: 100 * 1024 ** 3 }],
    ['10m', { seconds: 600 }],
    ['2h', { seconds: 7200 }],
  ] as const) {
    const { code, calls } = await line.run(['verify', '--budget', text]);
    assert.equal(code, 0);
    assert.deepEqual((calls[0]!.request as { budget: object }).budget, budget);
  }
  for (const text of ['0', '0%', '101%', 'x', '0m', '-5%']) {
    const { code, calls } = await line.run(['verify', `--budget=${text}`]);
    assert.deepEqual([code, calls], [64, []], text);
  }
  for (const argv of [['a1b2'], ['--all']])
    assert.equal((await line.run(['verify', '--budget', '5%', ...argv])).code, 64);
});

test('what was never read back is told', async () => {
  await using line = await CommandLine.open();
  const verify = async () => ({
    ...VERIFIED,
    verified: { neverBytes: 1024 ** 3, totalBytes: 4 * 1024 ** 3 },
  });
  const { stdout } = await line.run(['verify'], { engine: { verify } });
  assert.match(stdout, /1 GiB of 4 GiB in packs was never read back/);
});
