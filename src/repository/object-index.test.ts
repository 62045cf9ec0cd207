import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { createMemoryStore, faultyStore, type MemoryStore } from '../objectstore/index.ts';
import { ObjectIndex } from './object-index.ts';
import type { ObjectPlace, PackInfo } from './segment-writer.ts';

const repositoryId = randomBytes(16);

function samplePlaces(count: number): { packs: PackInfo[]; places: ObjectPlace[] } {
  const packs = Array.from({ length: 3 }, (): PackInfo => ({
    packId: randomBytes(16),
    size: 30_000_000,
    type: 'data',
  }));
  const places = Array.from({ length: count }, (_, i) => ({
    id: randomBytes(32),
    packId: packs[i % 3]!.packId,
    offset: i * 7,
    storedLength: 100 + i,
    rawLength: 200 + i,
  }));
  return { packs, places };
}

async function openIndex(store: MemoryStore): Promise<ObjectIndex> {
  const index = new ObjectIndex(store, repositoryId);
  await index.refresh();
  return index;
}

test('every object of every segment is found at its place, and no other is', async () => {
  for (const count of [0, 1, 255, 257, 20_000]) {
    const store = createMemoryStore();
    const content = samplePlaces(count);
    await (await openIndex(store)).add(content);
    const index = await openIndex(store);
    for (const place of content.places) {
      const found = await index.find(place.id);
      const { ordinal: _, segment: __, packSize: ___, quarantined, ...rest } = found!;
      assert.equal(quarantined, false);
      assert.deepEqual({ ...rest, id: Buffer.from(rest.id), packId: Buffer.from(rest.packId) }, place);
    }
    for (let i = 0; i < 500; i += 1) assert.equal(await index.find(randomBytes(32)), undefined);
  }
});

test('asking for an absent object costs one small read a segment, and no read of entries', async () => {
  const store = createMemoryStore();
  await (await openIndex(store)).add(samplePlaces(20_000));
  const index = await openIndex(store);
  const before = store.calls('getRange').length;
  for (let i = 0; i < 200; i += 1) await index.find(randomBytes(32));
  const bytes = store
    .calls('getRange')
    .slice(before)
    .reduce((sum, call) => sum + call.bytes, 0);
  assert.ok(bytes < 400_000, `${bytes} bytes read of a segment of a million`);
});

test('many small segments become one; the replaced ones are ignored by all, and every object is still found', async () => {
  const store = createMemoryStore();
  const index = await openIndex(store);
  const contents = Array.from({ length: 30 }, () => samplePlaces(10));
  for (const content of contents) await index.add(content);
  await index.compact();
  assert.equal(index.segments.length, 1);
  for (const other of [index, await openIndex(store)]) {
    assert.equal(other.segments.length, 1);
    for (const place of contents.flatMap((content) => content.places)) {
      assert.equal((await other.find(place.id))?.offset, place.offset);
    }
  }
});

test('any damaged byte of a segment is found by its check, and never leads to an impossible place', async () => {
  const store = createMemoryStore();
  const { places, packs } = samplePlaces(300);
  await (await openIndex(store)).add({ places, packs });
  const [{ name, size } = { name: '', size: 0 }] = await Array.fromAsync(store.list('index/'));
  for (let at = 0; at < size; at += at < 128 ? 1 : 97) {
    store.damage(name, (bytes) => bytes.with(at, bytes[at]! ^ 0x81));
    const index = await openIndex(store);
    if (index.segments.length === 0) assert.equal(index.damaged.length, 1);
    else
      await assert.rejects(
        index.segments[0]!.check(),
        (error) => hasCode(error, 'REPO_INDEX_DAMAGED'),
        `byte ${at}`,
      );
    for (const place of places.slice(0, 20)) {
      const found = await index.find(place.id).catch((error: unknown) => {
        assert.ok(hasCode(error, 'REPO_INDEX_DAMAGED'), String(error));
      });
      assert.ok(!found || found.offset + found.storedLength <= 30_000_000);
    }
    store.damage(name, (bytes) => bytes.with(at, bytes[at]! ^ 0x81));
  }
});

test('a cut or foreign segment is set aside, the others serve', async () => {
  const store = createMemoryStore();
  const index = await openIndex(store);
  const good = samplePlaces(5);
  await index.add(samplePlaces(5));
  const [cut] = await Array.fromAsync(store.list('index/'));
  await index.add(good);
  store.damage(cut!.name, (bytes) => bytes.subarray(0, bytes.length - 3));
  await new ObjectIndex(store, randomBytes(16)).add(samplePlaces(5));
  const opened = await openIndex(store);
  assert.equal(opened.damaged.length, 2);
  assert.ok(await opened.find(good.places[0]!.id));
});

test('a segment that is replaced and deleted while the index is listed is not missed together with the one in its place', async () => {
  const plain = createMemoryStore();
  const writer = await openIndex(plain);
  const contents = Array.from({ length: 20 }, () => samplePlaces(3));
  for (const content of contents) await writer.add(content);
  // More are opened at once than are listed before: the last one is listed when others have been opened.
  const { name: last } = (await Array.fromAsync(plain.list('index/'))).at(-1)!;
  let replaced = false;
  const store = faultyStore(plain, {
    before: async ({ method }) => {
      if (replaced || method !== 'getRange') return;
      replaced = true;
      const segment = writer.segments.find(({ name }) => name === last)!;
      const places = await Array.fromAsync(segment.entries());
      const superseded = [Buffer.from(segment.id, 'hex')];
      await writer.add({ packs: await segment.packs(), places, superseded });
      await plain.delete(last);
    },
  });
  const index = new ObjectIndex(store, repositoryId);
  await index.refresh();
  assert.ok(replaced);
  for (const place of contents.flatMap((content) => content.places))
    assert.equal((await index.find(place.id))?.offset, place.offset);
});

test('a refresh of an index that did not change is two listings, and opens nothing', async () => {
  const store = createMemoryStore();
  await (await openIndex(store)).add(samplePlaces(3));
  const index = await openIndex(store);
  const before = store.calls().length;
  await index.refresh();
  assert.deepEqual(
    store
      .calls()
      .slice(before)
      .map(({ method }) => method),
    ['list', 'list'],
  );
});
