/** Damage that was found is stored anew by the next backup that reads the content, and every point is whole again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB, hasCode } from '../base/index.ts';
import type { MemoryDisk } from '../disk/index.ts';
import { createMemoryStore, faultyStore, storeFaults, type MemoryStore } from '../objectstore/index.ts';
import { CELL_BYTES, hexOf } from './format.ts';
import { HEADER_BYTES } from './object.ts';
import { ObjectIndex } from './object-index.ts';
import { PackReader, type ListedObject } from './pack-reader.ts';
import type { RestorePoint } from './point.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { backUp, contentOf, diskWith, draftOf, partsFor, sampleBytes } from './repository.fixture.ts';

const SIZE = 8 * MiB;

async function fullAndIncrement() {
  const store = createMemoryStore();
  const parts = partsFor(store);
  const disk = await diskWith(SIZE, [[0, sampleBytes(5 * MiB, 1)]]);
  const first = await full(parts, disk);
  const old = await contentOf(disk);
  await disk.write(2 * CELL_BYTES, sampleBytes(CELL_BYTES, 2));
  const extents = [{ offset: 2 * CELL_BYTES, length: CELL_BYTES }];
  const base = first.disks[0]!.root;
  const { point } = await backUp(await Repository.open(parts), { reader: disk, extents, base });
  return { store, parts, disk, points: [first, point], contents: [old, await contentOf(disk)] };
}

/** The same two backups once more. */
async function again({ parts, contents }: World): Promise<void> {
  const old = await diskWith(SIZE, [[0, contents[0]!.subarray(0, 5 * MiB)]]);
  const base = (await full(parts, old)).disks[0]!.root;
  await old.write(0, contents[1]!.subarray(0, MiB));
  const extents = [{ offset: 2 * CELL_BYTES, length: CELL_BYTES }];
  await backUp(await Repository.open(parts), { reader: old, extents, base });
}

type World = Awaited<ReturnType<typeof fullAndIncrement>>;

async function full(parts: RepositoryParts, disk: MemoryDisk): Promise<RestorePoint> {
  return (await backUp(await Repository.open(parts), { reader: disk, extents: disk.allocated() })).point;
}

async function objectsOf({ store, parts }: World): Promise<{ name: string; object: ListedObject }[]> {
  const packs = new PackReader(store, Buffer.from(parts.header.repositoryId, 'hex'));
  const objects: { name: string; object: ListedObject }[] = [];
  for await (const file of store.list('packs/'))
    for (const object of (await packs.list(file)).places) objects.push({ name: file.name, object });
  return objects.sort((a, b) => a.object.kind - b.object.kind || a.object.offset - b.object.offset);
}

function flip(store: MemoryStore, name: string, at: number): void {
  store.damage(name, (bytes) => bytes.with(at, bytes[at]! ^ 0x41));
}

const verify = async (parts: RepositoryParts) => (await Repository.open(parts)).verify({ workers: 0 });

/** How many of the points read exactly. */
async function wholePoints({ parts, points, contents }: World): Promise<number> {
  const repository = await Repository.open(parts);
  let whole = 0;
  for (const [index, { disks, vm }] of points.entries()) {
    try {
      const found = await contentOf(repository.openDisk(disks[0]!.root, SIZE));
      assert.ok(found.equals(contents[index]!), 'wrong bytes were returned');
      await repository.readBlob(vm.configuration);
      whole += 1;
    } catch (error) {
      assert.ok(hasCode(error, 'REPO_OBJECT_DAMAGED', 'REPO_OBJECT_MISSING'), String(error));
    }
  }
  return whole;
}

test('backups of the same content store every damaged object again, and all points that need it are whole', async () => {
  const probe = await fullAndIncrement();
  const count = (await objectsOf(probe)).length;
  assert.equal(count, 9, 'chunks of the full, one of the increment, two leaves, the settings');
  for (let index = 0; index < count; index += 1) {
    const world = await fullAndIncrement();
    const { store, parts } = world;
    const { name, object } = (await objectsOf(world))[index]!;
    flip(store, name, object.offset + HEADER_BYTES + 3);
    assert.ok((await wholePoints(world)) < 2);
    const report = await verify(parts);
    assert.deepEqual(
      report.problems.map(({ objectId }) => objectId),
      [hexOf(object.id)],
    );
    const { affected, settingsOf } = report.problems[0]!;
    assert.ok(affected.length + settingsOf.length > 0, 'no restore point is named');
    const repository = await Repository.open(parts);
    for (const point of world.points) {
      const losses = await repository.lossesOf(point);
      const named = [...affected, ...settingsOf].some(({ pointId }) => pointId === point.id);
      assert.equal(losses.disks.length + losses.settings.length > 0, named);
    }
    await again(world);
    assert.equal(await wholePoints(world), 2);
    assert.ok((await verify(parts)).ok, 'what is whole again is no problem any more');
  }
});

test('a piece of a patched slot is stored again when the source still has it, which a full stores otherwise', async () => {
  const world = await fullAndIncrement();
  const { store, parts, disk, points } = world;
  const { name, object } = (await objectsOf(world)).find((each) => each.object.rawLength === CELL_BYTES)!;
  flip(store, name, object.offset + HEADER_BYTES);
  await verify(parts);
  assert.equal(await wholePoints(world), 1);
  const repository = await Repository.open(parts);
  await using session = await repository.startSession({ workers: 0 });
  const disks = points.map((point) => point.disks[0]!);
  const other = await diskWith(SIZE, [[0, sampleBytes(5 * MiB, 9)]]);
  assert.equal(await session.healDisk({ reader: other, disks }), 0, 'other content does not heal');
  assert.equal(await session.healDisk({ reader: disk, disks }), 1);
  await session.commit(await draftOf(session, [disks[1]!]));
  assert.equal(await wholePoints(world), 2);
});

test('a lost pack is stored again by the next full, in as many objects as are needed still', async () => {
  const probe = await fullAndIncrement();
  const packs = await Array.fromAsync(probe.store.list('packs/'));
  for (let index = 0; index < packs.length; index += 1) {
    const world = await fullAndIncrement();
    const { store, parts, disk } = world;
    const { name } = (await Array.fromAsync(store.list('packs/')))[index]!;
    await store.delete(name);
    assert.ok(!(await verify(parts)).ok);
    await full(parts, disk);
    const repository = await Repository.open(parts);
    const latest = (await Array.fromAsync(repository.points()))[0]!;
    assert.ok((await contentOf(repository.openDisk(latest.disks[0]!.root, SIZE))).equals(world.contents[1]!));
    assert.deepEqual((await repository.lossesOf(latest)).disks, []);
  }
});

test('a file that was brought back from a copy leaves the quarantine, and nothing is stored again', async () => {
  const world = await fullAndIncrement();
  const { store, parts } = world;
  const { name, object } = (await objectsOf(world))[0]!;
  flip(store, name, object.offset + HEADER_BYTES);
  await verify(parts);
  assert.equal((await Array.fromAsync(store.list('quarantine/'))).length, 1);
  flip(store, name, object.offset + HEADER_BYTES);
  assert.equal(await wholePoints(world), 2, 'a quarantined place is read where there is no other');
  assert.ok((await verify(parts)).ok);
  const repository = await Repository.open(parts);
  assert.ok(!(await repository.isDamaged(world.points[0]!.disks[0]!)));
  const disk = await diskWith(SIZE, [[0, world.contents[0]!.subarray(0, 5 * MiB)]]);
  const again = await backUp(repository, { reader: disk, extents: disk.allocated() });
  assert.equal(again.stats.newChunks, 0);
});

test('damage is reported until it is healed, also by a verification that does not read it again', async () => {
  const world = await fullAndIncrement();
  const { store, parts } = world;
  const { name, object } = (await objectsOf(world))[0]!;
  flip(store, name, object.offset + HEADER_BYTES);
  await verify(parts);
  for (let run = 0; run < 6; run += 1) {
    const report = await (await Repository.open(parts)).verify({ budget: { bytes: 1 }, workers: 0 });
    assert.deepEqual(
      report.problems.map(({ objectId }) => objectId),
      [hexOf(object.id)],
    );
    assert.ok(report.problems[0]!.affected.length > 0);
  }
});

test('on a store that takes nothing, verification tells what it found and that it could not write it down', async () => {
  const world = await fullAndIncrement();
  const { name, object } = (await objectsOf(world))[0]!;
  flip(world.store, name, object.offset + HEADER_BYTES);
  const store = faultyStore(world.store, {
    before: ({ method }) => {
      if (method === 'putNew') throw storeFaults.readOnly({ location: 'memory' });
    },
  });
  const report = await verify({ ...world.parts, store });
  assert.deepEqual(
    report.problems.map(({ objectId }) => objectId),
    [hexOf(object.id)],
  );
  assert.ok(report.problems[0]!.affected.length > 0);
  assert.ok(hasCode(report.unrecorded, 'STORE_READ_ONLY'));
});

test('what a collector deletes while it is verified, on a store that is not local, is no damage', async () => {
  const world = await fullAndIncrement();
  const { store, parts, points } = world;
  await (await Repository.open(parts)).dropPoint(points[1]!);
  const { name, object } = (await objectsOf(world)).find((each) => each.object.rawLength === CELL_BYTES)!;
  let deleted = false;
  const collected = faultyStore(store, {
    async before(call) {
      if (deleted || call.method !== 'getRange' || call.name !== name || call.bytes <= HEADER_BYTES) return;
      if (call.bytes !== HEADER_BYTES + object.storedLength) return; // its trailer is being listed
      deleted = true;
      const index = new ObjectIndex(store, Buffer.from(parts.header.repositoryId, 'hex'));
      await index.refresh();
      await index.drop((packId) => hexOf(packId) !== hexOf(object.packId));
      await store.delete(name);
    },
  });
  const report = await (await Repository.open({ ...parts, store: collected })).verify({ workers: 0 });
  assert.ok(deleted, 'it was read');
  assert.deepEqual(report.problems, []);
});
