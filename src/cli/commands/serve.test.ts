import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../../base/index.ts';
import { CommandLine } from '../command-line.fixture.ts';
import type { ServeRequest } from '../engine.ts';

test('how much memory a served point may take is said by --cache, or left to the machine', async () => {
  await using line = await CommandLine.open();
  const cacheOf = async (...argv: string[]): Promise<number | undefined> => {
    let request: ServeRequest | undefined;
    const run = await line.run(['serve', 'a1', ...argv], {
      engine: { servePoint: async (asked) => void (request = asked) },
    });
    assert.equal(run.code, 0, run.stderr);
    return request!.cacheBytes;
  };
  assert.equal(await cacheOf(), undefined);
  assert.equal(await cacheOf('--cache', '512MiB'), 512 * MiB);
  for (const wrong of ['1MiB', 'much'])
    assert.equal((await line.run(['serve', 'a1', '--cache', wrong])).code, 64, wrong);
});
