/** A run that dies at any call of the store, or loses one answer: old points stay, no half point appears, the next run works. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../base/index.ts';
import type { MemoryDisk } from '../disk/index.ts';
import {
  StoppedError,
  createMemoryStore,
  faultyStore,
  stopAt,
  type MemoryStore,
  type ObjectStore,
} from '../objectstore/index.ts';
import { CELL_BYTES } from './format.ts';
import { ObjectIndex } from './object-index.ts';
import type { RestorePoint } from './point.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { backUp, contentOf, diskWith, partsFor, sampleBytes, VM_ID } from './repository.fixture.ts';

const CHANGES = [3, 20, 33].map((cell) => ({ offset: cell * CELL_BYTES, length: CELL_BYTES }));

/** A repository with one point, made once and copied for each death. */
const template = await (async () => {
  const store = createMemoryStore();
  const parts = partsFor(store);
  const disk = await oldDisk();
  await backUp(await Repository.open(parts), { reader: disk, extents: disk.allocated() });
  return { store, parts, old: await contentOf(disk) };
})();

async function startingPoint(): Promise<{
  store: MemoryStore;
  parts: RepositoryParts;
  disk: MemoryDisk;
  old: Buffer;
}> {
  const store = createMemoryStore();
  for await (const { name, size } of template.store.list('')) {
    await store.putNew(name, await template.store.getRange(name, 0, size));
  }
  const disk = await oldDisk();
  for (const { offset, length } of CHANGES) await disk.write(offset, sampleBytes(length, offset));
  return { store, parts: { ...template.parts, store }, disk, old: template.old };
}

/** What is enumerated: an increment from opening to the recorded baseline and the old one forgotten. */
async function increment(
  parts: RepositoryParts,
  store: ObjectStore,
  disk: MemoryDisk,
): Promise<RestorePoint> {
  const repository = await Repository.open({ ...parts, store });
  await using _lease = await repository.lockVm(VM_ID);
  const base = await repository.point('latest', { vmId: VM_ID });
  const { point } = await backUp(repository, { reader: disk, extents: CHANGES, base: base.disks[0]!.root });
  const older = await repository.baselines(VM_ID);
  await repository.recordBaseline({
    pointId: point.id,
    vmId: VM_ID,
    referencePointId: `reference-${point.id}`,
    consistency: 'crash',
    disks: [],
  });
  for (const each of older) await repository.forgetBaseline(each);
  return point;
}

/** The areas of the store that the calls of one undisturbed run touch, in order. */
async function callsOfOneRun(): Promise<string[]> {
  const { store, parts, disk } = await startingPoint();
  const before = store.calls().length;
  await increment(parts, store, disk);
  return store
    .calls()
    .slice(before)
    .map(({ name }) => name.split('/')[0]!);
}

async function checkAfter(
  parts: RepositoryParts,
  store: MemoryStore,
  disk: MemoryDisk,
  old: Buffer,
): Promise<void> {
  const repository = await Repository.open({ ...parts, store });
  const points = await Array.fromAsync(repository.points());
  assert.ok(points.length >= 1 && points.length <= 3);
  const present = await contentOf(disk);
  for (const [index, point] of points.entries()) {
    const { root, size } = point.disks[0]!;
    const expected = index === points.length - 1 ? old : present;
    assert.ok((await contentOf(repository.openDisk(root, size))).equals(expected));
  }
  const { problems } = await repository.verify({ workers: 0 });
  assert.deepEqual(problems, [], 'what is left over is no damage');
}

const areas = await callsOfOneRun();
const steps = areas.map((_, index) => index + 1);
/** From here on the run only lets go of its lock: it has succeeded, and a lock that stays is the next run's to remove. */
const lettingGo = areas.findLastIndex((area) => area !== 'locks') + 2;

for (const when of ['before', 'after'] as const) {
  test(`a run that dies ${when} any of the ${steps.length} calls of the store took effect harms nothing`, async () => {
    for (const step of steps) {
      const { store, parts, disk, old } = await startingPoint();
      const run = increment(parts, faultyStore(store, stopAt(step, when)), disk);
      if (step < lettingGo) await assert.rejects(run, StoppedError, `call ${step}`);
      else assert.ok(await run, `call ${step}`);
      store.crash();
      await checkAfter(parts, store, disk, old);
      await increment(parts, store, disk);
      await checkAfter(parts, store, disk, old);
    }
  });
}

test('a call that fails once fails the run or nothing; the next run works', async () => {
  for (const step of steps) {
    const { store, parts, disk, old } = await startingPoint();
    store.failCall(store.calls().length + step, new Error('a hiccup'));
    await increment(parts, store, disk).catch((error: Error) =>
      assert.match(String(error), /hiccup|STORE_/, `call ${step}`),
    );
    await checkAfter(parts, store, disk, old);
    await increment(parts, store, disk);
  }
});

test('the manifest comes last: packs, index, then the point', async () => {
  const { store, parts, disk } = await startingPoint();
  const before = store.calls().length;
  await increment(parts, store, disk);
  const written = store
    .calls()
    .slice(before)
    .filter(({ method }) => method === 'commit' || method === 'putNew')
    .map(({ name }) => name.split('/')[0]!);
  assert.deepEqual(written, ['locks', 'sessions', 'packs', 'packs', 'index', 'points', 'baselines']);
});

test('a rebuild of the index that dies at any call makes nothing worse, and works when it is run again', async () => {
  for (const when of ['before', 'after'] as const) {
    let done = false;
    for (let step = 1; !done; step += 1) {
      const { store, parts, disk, old } = await startingPoint();
      const repository = await Repository.open({
        ...parts,
        store: faultyStore(store, stopAt(step, when)),
      }).catch(isStopped);
      done = (await repository?.rebuildIndex().catch(isStopped)) !== undefined;
      await checkAfter(parts, store, disk, old);
      await (await Repository.open({ ...parts, store })).rebuildIndex();
      await checkAfter(parts, store, disk, old);
      assert.ok(step < 50, 'a rebuild of two packs is a few calls');
    }
  }
});

test('three writers at once store, index and commit side by side: each point is whole', async () => {
  const store = createMemoryStore();
  const parts = partsFor(store);
  const disks = await Promise.all(
    [1, 2, 3].map((seed) => diskWith(3 * MiB, [[0, sampleBytes(2 * MiB, seed % 2)]])),
  );
  for (let round = 0; round < 10; round += 1) {
    const runs = disks.map(async (disk, index) => {
      const repository = await Repository.open({ ...parts, store });
      await using _lease = await repository.lockVm(`vm-${index}`);
      await disk.write(round * CELL_BYTES, sampleBytes(CELL_BYTES, round)); // the same for all: both may store it
      return await backUp(repository, { reader: disk, extents: disk.allocated() }, `vm-${index}`);
    });
    const reader = await Repository.open({ ...parts, store });
    for (const [index, { root }] of (await Promise.all(runs)).entries()) {
      const read = await contentOf(reader.openDisk(root, disks[index]!.size));
      assert.ok(read.equals(await contentOf(disks[index]!)));
    }
  }
  const repository = await Repository.open({ ...parts, store });
  assert.equal((await Array.fromAsync(repository.points())).length, 30);
  assert.deepEqual((await repository.verify({ workers: 0 })).problems, []);
  const index = new ObjectIndex(store, Buffer.from(parts.header.repositoryId, 'hex'));
  await index.refresh();
  const files = await Array.fromAsync(store.list('index/'));
  assert.ok(index.segments.length < files.length, 'the index was merged meanwhile');
});

function isStopped(error: unknown): undefined {
  assert.ok(error instanceof StoppedError, String(error));
}

async function oldDisk(): Promise<MemoryDisk> {
  return diskWith(3 * MiB, [[0, sampleBytes(2.5 * MiB, 1)]]);
}
