/** What the collector deletes, and what it must leave: with sessions open, dead, silent; with packs half dead, lost, damaged. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { MiB, hasCode } from '../base/index.ts';
import { createMemoryStore, faultyStore, type MemoryStore } from '../objectstore/index.ts';
import {
  assertRestores,
  collectAll,
  dropPoint,
  fullBackup,
  increment,
  thinDisk,
} from './collector.fixture.ts';
import { CELL_BYTES } from './format.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { contentOf, diskWith, draftOf, ingest, partsFor } from './repository.fixture.ts';

interface World {
  readonly store: MemoryStore;
  readonly parts: RepositoryParts;
  readonly repository: Repository;
}

async function world(encrypted = false): Promise<World> {
  const store = createMemoryStore();
  const parts = partsFor(store, encrypted);
  return { store, parts, repository: await Repository.open(parts) };
}

/** Two VMs with disks of their own; the first one's only point is dropped. */
async function withOneDropped(encrypted = false) {
  const made = await world(encrypted);
  const [gone, kept] = [await thinDisk(1), await thinDisk(2)];
  const dropped = await fullBackup(made.repository, gone, 'vm-gone');
  const [deadPack] = await dataPacksOf(made.store);
  const point = await fullBackup(made.repository, kept, 'vm-kept');
  await dropPoint(made.store, dropped);
  return { ...made, gone, deadPack: deadPack!, point, content: await contentOf(kept) };
}

async function assertSound(repository: Repository): Promise<void> {
  const { problems } = await repository.verify({ workers: 0 });
  assert.deepEqual(problems, []);
}

for (const encrypted of [false, true]) {
  test(`what no point needs is condemned by one run and deleted by the next, ${encrypted ? 'sealed' : 'plain'}`, async () => {
    const { store, repository, point, content } = await withOneDropped(encrypted);
    const before = await packsOf(store);
    const first = await repository.collect();
    assert.equal(first.deleted.packs, 0);
    assert.ok(first.condemned.packs > 0);
    const between = await packsOf(store);
    assert.ok(before.isSubsetOf(between), 'nothing is deleted by the run that found it dead');
    const second = await repository.collect();
    assert.deepEqual(second.deleted, first.condemned);
    assert.equal((await packsOf(store)).size, between.size - first.condemned.packs);
    await assertRestores(repository, point, content);
    await assertSound(repository);
  });
}

test('a run that changes nothing writes nothing', async () => {
  const { store, repository } = await withOneDropped();
  await collectAll(repository);
  const before = store.calls().length;
  await repository.collect();
  const changed = store.calls().slice(before);
  assert.deepEqual(
    changed.filter(({ method, name }) => method === 'putNew' && !name.startsWith('locks/')),
    [],
  );
});

test('a dry run says what a run would do, and leaves every file as it is', async () => {
  const { store, repository } = await withOneDropped();
  const files = async () => (await Array.fromAsync(store.list(''))).map(({ name }) => name);
  for (let run = 0; run < 2; run += 1) {
    const before = await files();
    const said = await repository.collect({ dryRun: true });
    assert.deepEqual(await files(), before);
    const done = await repository.collect();
    assert.deepEqual([said.condemned, said.deleted, said.alive], [done.condemned, done.deleted, done.alive]);
  }
});

test('a writer does not refer to what is condemned: the same content is stored again', async () => {
  const { parts, repository, gone, point, content } = await withOneDropped();
  await repository.collect();
  const again = await fullBackup(repository, gone, 'vm-again');
  const next = await repository.collect();
  assert.ok(next.deleted.packs > 0, 'the condemned packs were not revived');
  await assertRestores(repository, again, await contentOf(gone));
  await assertRestores(repository, point, content);
  await assertSound(await Repository.open(parts));
});

test('a session that began before a pack was condemned may use it: it is kept while the session is open, then revived', async () => {
  const { repository, gone } = await withOneDropped();
  const session = await repository.startSession({ workers: 0 });
  const { root } = await ingest(session, { reader: gone, extents: gone.allocated() });
  const first = await repository.collect();
  assert.ok(first.condemned.packs > 0);
  const second = await repository.collect();
  assert.equal(second.deleted.packs, 0);
  assert.deepEqual(second.waiting, first.condemned);
  const draft = await draftOf(session, [{ root, size: gone.size }], 'vm-again');
  const point = await session.commit(draft);
  const third = await repository.collect();
  assert.ok(third.revived.packs > 0);
  await collectAll(repository);
  await assertRestores(repository, point, await contentOf(gone));
  await assertSound(repository);
});

test('a session that began after it was condemned keeps nobody waiting', async () => {
  const { repository } = await withOneDropped();
  const { condemned } = await repository.collect();
  await using session = await repository.startSession({ workers: 0 });
  assert.deepEqual((await repository.collect()).deleted, condemned);
  await session.abort();
});

test('packs of a session at work are left alone, and those of one that died are collected', async () => {
  const { store, repository } = await world();
  const disk = await diskWith(36 * MiB, [[0, randomBytes(36 * MiB)]]);
  const session = await repository.startSession({ workers: 0 });
  await ingest(session, { reader: disk, extents: disk.allocated() }); // more than one pack: the first one is closed
  assert.ok((await packsOf(store)).size > 0);
  assert.equal((await repository.collect()).condemned.packs, 0);
  await session.abort();
  await collectAll(repository);
  assert.equal((await packsOf(store)).size, 0);
});

test('a session that was taken for dead commits nothing', async () => {
  const { store, parts, repository, gone } = await withOneDropped();
  const silent = faultyStore(store, { before: ({ name }) => failBeats(name) });
  const elsewhere = await Repository.open({ ...parts, store: silent });
  const session = await elsewhere.startSession({ workers: 0 });
  const { root } = await ingest(session, { reader: gone, extents: gone.allocated() });
  const draft = await draftOf(session, [{ root, size: gone.size }], 'vm-late');
  await markAsForeign(store);
  await repository.collect();
  const lease = { beatMs: 1, observeMs: 3 };
  const watched = await repository.collect({ lease });
  assert.equal(watched.deleted.packs, 0, 'its commit may be under way');
  await assert.rejects(session.commit(draft), (error) => hasCode(error, 'REPO_SESSION_LOST'));
  assert.ok((await repository.collect({ lease })).deleted.packs > 0);
  await session.abort();
});

test('a pack that is mostly dead is rewritten: its living objects move, and an old index finds them', async () => {
  const { store, parts, repository } = await world();
  const disk = await thinDisk(1);
  const first = await fullBackup(repository, disk);
  const second = await increment(repository, disk, first, { cell: 0, cells: 40, seed: 9 });
  const content = await contentOf(disk);
  await dropPoint(store, first);
  const reader = await Repository.open(parts);
  await reader.readBlob(second.vm.configuration);
  const reports = await collectAll(repository);
  assert.ok(reports[0]!.rewritten.packs > 0);
  const deleted = reports.reduce((sum, report) => sum + report.deleted.packs, 0);
  assert.ok(deleted >= reports[0]!.rewritten.packs);
  await assertRestores(reader, second, content);
  await assertRestores(await Repository.open(parts), second, content);
  await assertSound(repository);
});

test('a damaged object is not copied: its pack stays, and the damage is found as before', async () => {
  const { store, repository } = await world();
  const disk = await thinDisk(1);
  const first = await fullBackup(repository, disk);
  const [old] = await dataPacksOf(store);
  await increment(repository, disk, first, { cell: 0, cells: 40, seed: 9 });
  await dropPoint(store, first);
  store.damage(old!, (bytes) => bytes.map((byte, at) => (at === bytes.length - 1000 ? byte ^ 1 : byte)));
  const found = (await repository.verify({ workers: 0 })).problems.map(({ objectId }) => objectId);
  assert.equal(found.length, 1, 'the one object of the old pack that the second point needs');
  for (let run = 0; run < 3; run += 1) await repository.collect();
  const { problems } = await repository.verify({ workers: 0 });
  assert.deepEqual(
    problems.map(({ objectId }) => objectId),
    found,
  );
  assert.ok((await packsOf(store)).has(old!));
});

test('a point whose maps cannot be read stops the collector before it decides anything', async () => {
  const { store, repository, point } = await withOneDropped();
  const [meta] = (await Array.fromAsync(store.list('points/'))).filter(({ name }) => name.endsWith(point.id));
  store.damage(meta!.name, (bytes) => bytes.map((byte, at) => (at === 200 ? byte ^ 1 : byte)));
  await assert.rejects(repository.collect(), (error) => hasCode(error, 'REPO_POINT_DAMAGED'));
  assert.deepEqual(await Array.fromAsync(store.list('epoch/')), []);
});

test('what was in a pack that is lost is stored again by the backup after the next collection', async () => {
  const { store, parts, repository, gone, deadPack, point, content } = await withOneDropped();
  await store.delete(deadPack);
  await repository.collect();
  const again = await fullBackup(await Repository.open(parts), gone, 'vm-again');
  await collectAll(repository);
  await assertRestores(repository, again, await contentOf(gone));
  await assertRestores(repository, point, content);
  await assertSound(repository);
});

test('a damaged epoch stops no backup, and the next run of the collector replaces it', async () => {
  const { store, parts, repository, gone, point, content } = await withOneDropped();
  await repository.collect();
  const [epoch] = await Array.fromAsync(store.list('epoch/'));
  store.damage(epoch!.name, (bytes) => bytes.subarray(0, 50));
  assert.equal((await repository.verify({ workers: 0 })).ok, false);
  const writer = await Repository.open(parts);
  const again = await fullBackup(writer, gone, 'vm-again');
  await collectAll(repository);
  await assertSound(repository);
  await assertRestores(writer, again, await contentOf(gone));
  await assertRestores(writer, point, content);
});

test('one collector at a time', async () => {
  const { repository } = await withOneDropped();
  const both = await Promise.allSettled([repository.collect(), repository.collect()]);
  assert.equal(both.filter(({ status }) => status === 'fulfilled').length, 1);
  const failed = both.find((each) => each.status === 'rejected');
  assert.ok(hasCode(failed?.reason, 'REPO_COLLECTOR_BUSY'));
});

test('a run is cancelled between any two requests, and the next one goes on', async () => {
  const { store, parts, point, content } = await withOneDropped();
  for (let call = 1; ; call += 1) {
    const controller = new AbortController();
    const cancelling = faultyStore(store, {
      before: ({ number }) => (number >= call ? controller.abort(new Error('stop')) : undefined),
    });
    const repository = await Repository.open({ ...parts, store: cancelling });
    const done = await repository.collect({ signal: controller.signal }).then(
      () => true,
      () => false,
    );
    await assertRestores(await Repository.open(parts), point, content);
    if (done) break;
    assert.ok(call < 200);
  }
});

async function packsOf(store: MemoryStore): Promise<Set<string>> {
  return new Set((await Array.fromAsync(store.list('packs/'))).map(({ name }) => name));
}

/** Those with chunks: the type stands in the header. */
async function dataPacksOf(store: MemoryStore): Promise<string[]> {
  const names = [...(await packsOf(store))];
  const types = await Promise.all(names.map((name) => store.getRange(name, 12, 1)));
  return names.filter((_, index) => types[index]![0] === 1);
}

function failBeats(name: string): void {
  if (/^sessions\/.*-\d{6}$/.test(name)) throw new Error('no answer');
}

/** As if the session ran on a machine that cannot be asked. */
async function markAsForeign(store: MemoryStore): Promise<void> {
  for await (const { name } of store.list('sessions/')) {
    store.damage(name, () =>
      Buffer.from(JSON.stringify({ mark: 'elsewhere', nonce: 'x', host: 'H', pid: 1 })),
    );
  }
}

test('dead packs wait where the index they stand in would cost more to write than they give back, and go with others', async () => {
  const { store, repository } = await world();
  // So little content that 48 bytes of index for each object of all points are more than what one point gives back.
  const tiny = (seed: number) => diskWith(MiB, [[0, Buffer.alloc(CELL_BYTES, `content ${seed} `)]]);
  const points = [];
  for (let seed = 0; seed < 30; seed += 1)
    points.push(await fullBackup(repository, await tiny(seed), `vm-${seed}`));
  const [gone, ...others] = points;
  await dropPoint(store, gone!);
  const collect = (dryRun = false) => repository.collect({ indexBytesFree: 0, dryRun });
  await collect();
  const said = await collect(true);
  const second = await collect();
  assert.deepEqual([second.deleted.packs, second.postponed.packs], [0, 2]);
  assert.deepEqual(said.postponed, second.postponed);
  const before = store.calls('putNew').length;
  assert.deepEqual((await collect()).postponed, second.postponed);
  assert.equal(
    store
      .calls('putNew')
      .slice(before)
      .filter(({ name }) => name.startsWith('index/')).length,
    0,
  );
  const disk = await tiny(0);
  const again = await fullBackup(repository, disk, 'vm-again');
  for (const point of others.slice(0, 25)) await dropPoint(store, point);
  await collect();
  const last = await collect();
  assert.deepEqual([last.postponed.packs, last.deleted.packs > 50], [0, true]);
  await assertRestores(repository, again, await contentOf(disk));
  for (const [index, point] of others.slice(25).entries())
    await assertRestores(repository, point, await contentOf(await tiny(26 + index)));
  await assertSound(repository);
});
