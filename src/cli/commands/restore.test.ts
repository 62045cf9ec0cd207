import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandLine } from '../command-line.fixture.ts';
import type { RestoreRequest } from '../engine.ts';
import { RESTORED } from '../fake-engine.fixture.ts';

test('the request says which point, which disks, where and in which format', async () => {
  await using line = await CommandLine.open();
  const request = async (...argv: string[]): Promise<RestoreRequest> =>
    (await line.run(['restore', ...argv])).calls[0]!.request as RestoreRequest;
  const plain = await request('a1b2', '--to', 'out');
  assert.deepEqual(plain.point, { kind: 'id', id: 'a1b2' });
  assert.deepEqual([plain.to, plain.format, plain.disks], [join(line.home, 'out'), 'vhdx', []]);
  const chosen = await request(
    'latest',
    '--vm',
    'web01',
    '--disk',
    '1,3',
    '--disk',
    '5',
    '--to',
    '~/x',
    '--format',
    'qcow2',
  );
  assert.deepEqual(chosen.point, { kind: 'latest', vm: 'web01' });
  assert.deepEqual(
    [chosen.to, chosen.format, chosen.disks],
    [join(line.home, 'x'), 'qcow2', ['1', '3', '5']],
  );
});

test('the files written are listed, with a warning and exit code 4 when there is one', async () => {
  await using line = await CommandLine.open();
  const plain = await line.run(['restore', 'a1b2', '--to', '/restored']);
  assert.deepEqual(plain.stdout.split('\n'), [
    'web01: point a1b2c3d4e5f6a7b8 restored to /restored in 0:41',
    '  DISK  VIRTUAL  WRITTEN  MB/s  FILE',
    '  1      64 GiB   20 GiB   537  web01-disk1.vhdx',
    '',
  ]);
  const warned = await line.run(['restore', 'a1b2', '--to', 'x', '--json'], {
    engine: {
      restore: async () => ({ ...RESTORED, warnings: [{ code: 'W', message: 'crash-consistent only' }] }),
    },
  });
  assert.equal(warned.code, 4);
  assert.deepEqual(warned.json().disks, RESTORED.disks);
});
