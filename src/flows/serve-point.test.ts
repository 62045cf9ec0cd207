import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GiB, MiB } from '../base/index.ts';
import { defaultCacheBytes } from './serve-point.ts';

test('what is kept of a served point follows the memory that is free, within bounds', () => {
  assert.equal(defaultCacheBytes(100 * MiB), 128 * MiB);
  assert.equal(defaultCacheBytes(4 * GiB), 512 * MiB);
  assert.equal(defaultCacheBytes(64 * GiB), GiB);
  const here = defaultCacheBytes();
  assert.ok(here >= 128 * MiB && here <= GiB, `${here}`);
});
