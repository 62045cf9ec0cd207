import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CountingReader, MemoryDisk } from '../disk/index.ts';
import { PAGE_SIZE, PageCache } from './pages.ts';

async function numberedPages(count: number): Promise<CountingReader> {
  const disk = new MemoryDisk(count * PAGE_SIZE);
  for (let page = 0; page < count; page += 1) await disk.write(page * PAGE_SIZE, Uint8Array.of(page));
  return new CountingReader(disk);
}

test('a full cache lets go of the page that was not used for longest, across all its files', async () => {
  const cache = new PageCache(3);
  const readers = [await numberedPages(4), await numberedPages(4)] as const;
  const [one, two] = [cache.file(readers[0]), cache.file(readers[1])];
  await one.load(0);
  await one.load(1);
  await two.load(1);
  assert.equal(one.peek(0)?.bytes[0], 0);
  await two.load(2);
  assert.deepEqual(
    [one.peek(0), one.peek(1), two.peek(1), two.peek(2)].map((page) => page?.bytes[0]),
    [0, undefined, 1, 2],
  );
  assert.equal(readers[0].stats.reads + readers[1].stats.reads, 4);
});

test('a page keeps to its file: the same number in two files is two pages', async () => {
  const cache = new PageCache();
  const one = cache.file(await numberedPages(2));
  const two = cache.file(await numberedPages(2));
  (await one.load(1)).bytes[0] = 77;
  assert.equal((await two.load(1)).bytes[0], 1);
  assert.equal(one.peek(1)?.bytes[0], 77);
});
