import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KiB, MiB } from '../base/index.ts';
import { objectStoreConformance } from './conformance.ts';
import { cachedStore, createMemoryStore, type MemoryStore, type ObjectStore } from './index.ts';

const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-cache-'));
  folders.push(folder);
  return folder;
}

objectStoreConformance('cached', async () =>
  cachedStore(createMemoryStore(), { folder: join(await newFolder(), 'a', 'b'), bytesMax: MiB }),
);

const page = (fill: number): Buffer => Buffer.alloc(64 * KiB, fill);

async function pages(count: number, bytesMax: number) {
  const memory = createMemoryStore();
  const folder = await newFolder();
  for (let i = 0; i < count; i += 1) await memory.putNew(`index/${i}`, page(i));
  const open = (): Promise<ObjectStore> => cachedStore(memory, { folder, bytesMax });
  return { memory, folder, open, store: await open() };
}

function reads(memory: MemoryStore): number {
  return memory.calls('getRange').length;
}

test('a page is asked of the store once, also when the cache is opened anew', async () => {
  const { memory, store, open } = await pages(3, MiB);
  for (const each of [store, store, await open()]) {
    for (let i = 0; i < 3; i += 1) assert.ok(page(i).equals(await each.getRange(`index/${i}`, 0, 64 * KiB)));
  }
  assert.equal(reads(memory), 3);
});

test('chunks of disks and what may change are never kept', async () => {
  const { memory, store } = await pages(0, MiB);
  await memory.putNew('packs/p', Buffer.alloc(200 * KiB));
  await memory.putNew('locks/l', Buffer.alloc(10));
  for (let i = 0; i < 2; i += 1) {
    await store.getRange('packs/p', 0, 65 * KiB);
    await store.getRange('locks/l', 0, 10);
  }
  assert.equal(reads(memory), 4);
});

test('the folder stays within its bound, and what was used longest ago goes first', async () => {
  const { memory, folder, store } = await pages(20, 5 * (64 * KiB + 4));
  for (let i = 0; i < 5; i += 1) await store.getRange(`index/${i}`, 0, 64 * KiB);
  await store.getRange('index/0', 0, 64 * KiB);
  await store.getRange('index/5', 0, 64 * KiB);
  assert.equal(reads(memory), 6);
  await store.getRange('index/0', 0, 64 * KiB);
  assert.equal(reads(memory), 6, 'used again, it stayed');
  await store.getRange('index/1', 0, 64 * KiB);
  assert.equal(reads(memory), 7, 'used longest ago, it went');
  for (let i = 6; i < 20; i += 1) await store.getRange(`index/${i}`, 0, 64 * KiB);
  const sizes = await Promise.all((await readdir(folder)).map((name) => stat(join(folder, name))));
  assert.equal(sizes.length, 5);
});

test('a damaged, cut or foreign file in the cache costs a read of the store, never wrong bytes', async () => {
  const { memory, folder, store } = await pages(1, MiB);
  await store.getRange('index/0', 0, 64 * KiB);
  const [name] = await readdir(folder);
  const path = join(folder, name!);
  const sound = await readFile(path);
  for (const spoiled of [
    sound.with(77, 1),
    sound.subarray(0, -1),
    Buffer.alloc(0),
    Buffer.alloc(sound.length, 9),
  ]) {
    await writeFile(path, spoiled);
    const before = reads(memory);
    assert.ok(page(0).equals(await store.getRange('index/0', 0, 64 * KiB)));
    assert.equal(reads(memory), before + 1);
  }
});

test('a folder that cannot be used is as good as no cache', async () => {
  const memory = createMemoryStore();
  await memory.putNew('index/0', page(1));
  const file = join(await newFolder(), 'file');
  await writeFile(file, '');
  const store = await cachedStore(memory, { folder: join(file, 'below'), bytesMax: MiB });
  assert.ok(page(1).equals(await store.getRange('index/0', 0, 64 * KiB)));
  assert.ok(page(1).equals(await store.getRange('index/0', 0, 64 * KiB)));
});
