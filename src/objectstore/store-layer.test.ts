import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MiB, RateLimit } from '../base/index.ts';
import { objectStoreConformance } from './conformance.ts';
import {
  cachedStore,
  countingStore,
  createMemoryStore,
  faultyStore,
  openDirectoryStore,
  prefixedStore,
  retryingStore,
  stopAt,
  throttledStore,
  type ObjectStore,
} from './index.ts';

const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

objectStoreConformance('counting', async () => countingStore(createMemoryStore()).store);
objectStoreConformance('faulty', async () => faultyStore(createMemoryStore(), {}));

objectStoreConformance('every layer over a directory', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-store-'));
  folders.push(folder);
  const directory = await openDirectoryStore(join(folder, 'store'), { create: true });
  const counted = countingStore(faultyStore(directory, {})).store;
  const paced = throttledStore(counted, new RateLimit(1024 * MiB));
  const patient = retryingStore(paced, { patienceSeconds: 1 });
  return cachedStore(prefixedStore(patient, 'of/'), { folder: join(folder, 'cache'), bytesMax: MiB });
});

test('counters tell calls and bytes of each method', async () => {
  const { store, stats } = countingStore(createMemoryStore());
  await writeThree(store);
  await store.getRange('a/1', 0, 2);
  assert.deepEqual(stats.putNew, { calls: 2, bytes: 7 });
  assert.deepEqual(stats.append, { calls: 1, bytes: 5 });
  assert.deepEqual(stats.commit, { calls: 1, bytes: 0 });
  assert.deepEqual(stats.getRange, { calls: 1, bytes: 2 });
});

test('a layer offers a local path exactly when the store below has one', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-store-'));
  t.after(() => rm(folder, { recursive: true }));
  const directory = countingStore(await openDirectoryStore(folder)).store;
  assert.equal(directory.localPath?.('a/1'), join(folder, 'a/1'));
  assert.equal(countingStore(createMemoryStore()).store.localPath?.('a/1'), undefined);
});

test('stopping at every call before or after its effect leaves exactly the effects so far', async () => {
  const after: string[][] = [];
  for (let number = 1; number <= 6; number += 1) {
    for (const when of ['before', 'after'] as const) {
      const memory = createMemoryStore();
      await writeThree(faultyStore(memory, stopAt(number, when))).catch(() => {});
      after.push((await Array.fromAsync(memory.list(''))).map((object) => object.name));
    }
  }
  // putNew a/1, startNew, append, commit a/2, putNew a/3; nothing is asked a sixth time.
  const one = ['a/1'];
  const two = ['a/1', 'a/2'];
  const three = ['a/1', 'a/2', 'a/3'];
  assert.deepEqual(after, [[], one, one, one, one, one, one, two, two, three, three, three]);
});

async function writeThree(store: ObjectStore): Promise<void> {
  await store.putNew('a/1', Buffer.alloc(3));
  const upload = await store.startNew('a/2');
  await upload.append(Buffer.alloc(5));
  await upload.commit();
  await store.putNew('a/3', Buffer.alloc(4));
}
