/** Restore points are dropped and collected while somebody reads them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MiB, hasCode } from '../base/index.ts';
import { createImage } from '../images/index.ts';
import { createMemoryStore, faultyStore, storeFaults, type ObjectStore } from '../objectstore/index.ts';
import { DISK_BYTES, collectAll, dropPoint, fullBackup, increment, thinDisk } from './collector.fixture.ts';
import { Repository } from './repository.ts';
import { contentOf, openTest, partsFor, temporaryFolder } from './repository.fixture.ts';

const namesIn = async (store: ObjectStore, prefix: string): Promise<string[]> =>
  (await Array.fromAsync(store.list(prefix))).map(({ name }) => name);

/** Two points of a disk that was written over almost wholly between them, so that packs of the first are mostly dead. */
async function twoPoints() {
  const store = createMemoryStore();
  const parts = partsFor(store);
  const repository = await Repository.open(parts);
  const disk = await thinDisk(1);
  const first = await fullBackup(repository, disk);
  const content = await contentOf(disk);
  const second = await increment(repository, disk, first, { cell: 0, cells: 40, seed: 9 });
  return { store, parts, repository, first, second, content, changed: await contentOf(disk) };
}

/** Drops and collects as another process does. */
async function dropAndCollect(
  { store, parts }: Awaited<ReturnType<typeof twoPoints>>,
  point: { id: string },
) {
  for (const name of await namesIn(store, 'points/')) if (name.endsWith(point.id)) await store.delete(name);
  return collectAll(await Repository.open(parts));
}

const readOnly = (store: ObjectStore): ObjectStore =>
  faultyStore(store, {
    before: ({ method, name }) => {
      if (method === 'putNew' && name.startsWith('sessions/'))
        throw storeFaults.readOnly({ location: 'here' });
    },
  });

test('a point that is dropped and collected between two reads is read to its end, and goes then', async () => {
  const world = await twoPoints();
  const { store, parts, first, content } = world;
  const reader = await Repository.open(parts);
  const { root } = first.disks[0]!;
  const disk = reader.openDisk(root, DISK_BYTES);
  const into = Buffer.alloc(DISK_BYTES, 0xa5);
  const reading = await reader.startReading(first);
  await disk.read(0, into.subarray(0, MiB));
  const [report] = (await dropAndCollect(world, first)).slice(-1);
  assert.ok(report!.waiting.packs > 0);
  for (let slot = 1; slot < 4; slot += 1)
    await disk.read(slot * MiB, into.subarray(slot * MiB, (slot + 1) * MiB));
  assert.ok(into.equals(content));
  const before = await namesIn(store, 'packs/');
  await reading[Symbol.asyncDispose]();
  await collectAll(world.repository);
  assert.ok((await namesIn(store, 'packs/')).length < before.length);
  assert.deepEqual(await namesIn(store, 'sessions/'), []);
});

test('a collector at work between any two requests of a restore does it no harm', async () => {
  const { store, parts, first, content } = await twoPoints();
  const saved = await Promise.all(
    (await Array.fromAsync(store.list(''))).map(
      async ({ name, size }) => [name, await store.getRange(name, 0, size)] as const,
    ),
  );
  for (let at = 1, done = false; !done; at += 1) {
    const copy = createMemoryStore();
    for (const [name, bytes] of saved) await copy.putNew(name, bytes);
    let calls = 0;
    done = true;
    const meddled = faultyStore(copy, {
      before: async ({ name }) => {
        if (!name.startsWith('packs/')) return;
        calls += 1;
        if (calls !== at) return;
        done = false;
        await dropPoint(copy, first);
        for (let run = 0; run < 3; run += 1)
          await (await Repository.open({ ...parts, store: copy })).collect();
      },
    });
    const reader = await Repository.open({ ...parts, store: meddled });
    await using _reading = await reader.startReading(first);
    const path = join(temporaryFolder(), `meddled-${at}`);
    const target = await createImage('raw', path, { size: DISK_BYTES });
    await reader.restoreDisk({ root: first.disks[0]!.root, size: DISK_BYTES, target, workers: 0 });
    await target.finish();
    assert.ok(readFileSync(path).equals(content), `collected before request ${at}`);
  }
});

test('what was condemned before a reader came, and a point that was committed since needs, stays too', async () => {
  const world = await twoPoints();
  const { repository, parts, first, content } = world;
  const writer = await (await Repository.open(parts)).startSession({ workers: 0 });
  await dropAndCollect(world, first);
  const { id: _id, created: _created, digest: _digest, formatVersion: _version, ...draft } = first;
  const again = await writer.commit(draft); // refers to packs that are condemned now
  const reader = await Repository.open(parts);
  await using _reading = await reader.startReading(again);
  await dropAndCollect(world, again);
  assert.ok((await contentOf(reader.openDisk(first.disks[0]!.root, DISK_BYTES))).equals(content));
  await collectAll(repository);
});

test('where nothing can be written, points are read all the same; one that goes meanwhile is named as what it is', async () => {
  const world = await twoPoints();
  const { store, parts, first, second, content } = world;
  const reader = await Repository.open({ ...parts, store: readOnly(store) });
  await using reading = await reader.startReading(first);
  assert.equal(reading.unregistered?.code, 'REPO_READ_UNREGISTERED');
  const { root } = first.disks[0]!;
  assert.ok((await contentOf(reader.openDisk(root, DISK_BYTES))).equals(content));
  await dropAndCollect(world, first);
  const cold = await Repository.open({ ...parts, store: readOnly(store) });
  const failed = await contentOf(cold.openDisk(root, DISK_BYTES)).catch((error: unknown) => error);
  assert.ok(hasCode(await reading.explain(failed), 'REPO_POINT_DROPPED'));
  await using other = await reader.startReading(second);
  assert.equal(await other.explain(failed), failed, 'damage stays damage while the point is there');
});

test('who comes when the point is gone is told so, and leaves nothing', async () => {
  const { store, repository, first } = await twoPoints();
  await dropPoint(store, first);
  await assert.rejects(repository.startReading(first), (error) => hasCode(error, 'REPO_POINT_NOT_FOUND'));
  assert.deepEqual(await namesIn(store, 'sessions/'), []);
});

test('a verification and a copy of points keep what they read', async () => {
  const { store, parts, first } = await twoPoints();
  const seen = new Set<number>();
  const watched = faultyStore(store, {
    before: async ({ name }) => {
      if (name.startsWith('packs/')) seen.add((await namesIn(store, 'sessions/')).length);
    },
  });
  const repository = await Repository.open({ ...parts, store: watched });
  await repository.verify({ workers: 0 });
  await Array.fromAsync((await openTest()).copyPoints(repository, [first]));
  assert.deepEqual([...seen], [1]);
  assert.deepEqual(await namesIn(store, 'sessions/'), []);
});
