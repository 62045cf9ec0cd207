import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../base/index.ts';
import { BitmapCache } from './bitmap-cache.ts';

test('more bitmaps than fit push out the one not used for longest; full ones take next to no room', () => {
  const cache = new BitmapCache();
  const key = cache.newFile();
  const megabyte = new Uint8Array(MiB);
  for (let block = 0; block < 15; block += 1) cache.put(key + block, megabyte);
  cache.get(key);
  for (let block = 15; block < 18; block += 1) cache.put(key + block, megabyte);
  for (let block = 100; block < 1100; block += 1) cache.put(key + block, 'full');
  const known = Array.from({ length: 18 }, (_, block) => cache.get(key + block) !== undefined);
  assert.deepEqual(known.slice(0, 4), [true, false, false, false]);
  assert.ok(known.slice(4).every(Boolean));
  assert.equal(cache.get(key + 100), 'full');
});

test('the same block of two files is two bitmaps', () => {
  const cache = new BitmapCache();
  const [one, two] = [cache.newFile(), cache.newFile()];
  cache.put(one + 7, 'full');
  assert.equal(cache.get(two + 7), undefined);
});
