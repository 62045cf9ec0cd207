import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../base/index.ts';
import { EarlyWriteback } from './early-writeback.ts';

test('a flush that fails is told at the end, also when later ones succeed', async () => {
  let flushes = 0;
  const writeback = new EarlyWriteback(async () => {
    flushes += 1;
    if (flushes === 1) throw new Error('EIO');
  });
  for (let round = 0; round < 3; round += 1) {
    writeback.wrote(128 * MiB);
    await writeback.settle().catch(() => {});
  }
  assert.equal(flushes, 3);
  await assert.rejects(writeback.settle(), /EIO/);
});

test('one flush at a time, and none for little', async () => {
  let running = 0;
  let most = 0;
  let flushes = 0;
  const writeback = new EarlyWriteback(async () => {
    flushes += 1;
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running -= 1;
  });
  writeback.wrote(127 * MiB);
  assert.equal(flushes, 0);
  for (let n = 0; n < 1000; n += 1) writeback.wrote(MiB);
  await writeback.settle();
  assert.equal(most, 1);
  assert.ok(flushes >= 1);
});
