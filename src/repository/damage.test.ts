/** One byte of any object, of any field, changed: found by verify and by reading, and it costs what it held, nothing more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB, hasCode, isFault } from '../base/index.ts';
import { totalBytes, type Extent } from '../extents/index.ts';
import { createMemoryStore, type MemoryStore } from '../objectstore/index.ts';
import { CELL_BYTES, KINDS, SLOT_BYTES, hexOf, objectHeader } from './format.ts';
import { HEADER_BYTES, readHeader } from './object.ts';
import { PackReader } from './pack-reader.ts';
import type { ObjectPlace } from './segment-writer.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { backUp, contentOf, diskWith, partsFor, sampleBytes, VM_ID } from './repository.fixture.ts';

const SIZE = 4 * MiB;

async function twoPoints(encrypted: boolean) {
  const store = createMemoryStore();
  const parts = partsFor(store, encrypted);
  const repository = await Repository.open(parts);
  const disk = await diskWith(SIZE, [[0, sampleBytes(3 * MiB, 1)]]);
  const first = await backUp(repository, { reader: disk, extents: disk.allocated() });
  const firstContent = await contentOf(disk);
  await disk.write(CELL_BYTES, sampleBytes(CELL_BYTES, 2));
  const second = await backUp(repository, {
    reader: disk,
    extents: [{ offset: CELL_BYTES, length: CELL_BYTES }],
    base: first.root,
  });
  const baseline = {
    pointId: second.point.id,
    vmId: VM_ID,
    referencePointId: 'r',
    consistency: 'crash',
    disks: [],
  } as const;
  await repository.recordBaseline(baseline);
  await repository.journal.record(VM_ID, { key: 'run-freezing', value: { step: 'freezing' } });
  return { store, parts, first, second, contents: [firstContent, await contentOf(disk)] };
}

type World = Awaited<ReturnType<typeof twoPoints>>;

function flip(store: MemoryStore, name: string, at: number): void {
  store.damage(name, (bytes) => bytes.with(at, bytes[at]! ^ 0x41));
}

/** Reads both points in full: every byte that is returned must be right. Returns how many reads were refused. */
async function refusedReads(parts: RepositoryParts, world: World): Promise<number> {
  const repository = await Repository.open(parts);
  let refused = 0;
  for (const [index, { root }] of [world.first, world.second].entries()) {
    const disk = repository.openDisk(root, SIZE);
    for (let at = 0; at < SIZE; at += SLOT_BYTES) {
      const into = Buffer.alloc(SLOT_BYTES);
      try {
        await disk.read(at, into);
        assert.ok(
          into.equals(world.contents[index]!.subarray(at, at + SLOT_BYTES)),
          'wrong bytes were returned',
        );
      } catch (error) {
        assert.ok(isFault(error) && error.kind === 'corrupt', String(error));
        refused += 1;
      }
    }
  }
  return refused;
}

/** Every object of the packs of metadata, with its kind. */
async function metaObjects(store: MemoryStore, parts: RepositoryParts) {
  const reader = new PackReader(store, Buffer.from(parts.header.repositoryId, 'hex'));
  const found: { name: string; place: ObjectPlace; kind: string }[] = [];
  for await (const file of store.list('packs/')) {
    const { pack, places } = await reader.list(file);
    if (pack.type !== 'meta') continue;
    for (const place of places) {
      const header = readHeader(await store.getRange(file.name, place.offset, HEADER_BYTES));
      found.push({ name: file.name, place, kind: Object.keys(KINDS)[header.kind - 1]! });
    }
  }
  return found;
}

function byText(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

for (const encrypted of [true, false]) {
  const name = encrypted ? 'encrypted' : 'plain';

  test(`${name}: a changed byte of any file is never missed by verify, and reads return right bytes or a fault`, async () => {
    const world = await twoPoints(encrypted);
    const { store, parts } = world;
    for (const file of await Array.fromAsync(store.list(''))) {
      const step = Math.max(1, Math.floor(file.size / 25));
      for (let at = 0; at < file.size; at += step) {
        flip(store, file.name, at);
        const report = await (await Repository.open(parts)).verify({ workers: 0 });
        // Without a seal a compressed frame may become another frame of the same content: then nothing is lost.
        const harmless = !encrypted && report.ok && (await refusedReads(parts, world)) === 0;
        assert.ok(!report.ok || harmless, `byte ${at} of ${file.name}`);
        flip(store, file.name, at);
      }
    }
    assert.ok((await (await Repository.open(parts)).verify({ workers: 0 })).ok, 'undone, all is well');
  });

  test(`${name}: a byte of every field of every object is found`, async () => {
    const world = await twoPoints(encrypted);
    const { store, parts } = world;
    const reader = new PackReader(store, Buffer.from(parts.header.repositoryId, 'hex'));
    const fields = Object.values(objectHeader.fields).map((field) => field.offset);
    for (const file of await Array.fromAsync(store.list('packs/'))) {
      for (const place of (await reader.list(file)).places) {
        for (const offset of [...fields, HEADER_BYTES, HEADER_BYTES + place.storedLength - 1]) {
          flip(store, file.name, place.offset + offset);
          const { problems } = await (await Repository.open(parts)).verify({ workers: 0 });
          const ids = problems.map((problem) => problem.objectId);
          assert.deepEqual(ids, [Buffer.from(place.id).toString('hex')], `offset ${offset}`);
          flip(store, file.name, place.offset + offset);
        }
      }
    }
  });
}

test('a damaged chunk costs its ranges in the points that use it, and verify says which', async () => {
  const world = await twoPoints(true);
  const { store, parts, first, second } = world;
  const reader = new PackReader(store, Buffer.from(parts.header.repositoryId, 'hex'));
  const dataPacks = await Promise.all(
    (await Array.fromAsync(store.list('packs/'))).map(async (file) => ({
      file,
      listing: await reader.list(file),
    })),
  );
  const full = dataPacks.find(({ listing }) => listing.pack.type === 'data' && listing.places.length === 3)!;
  flip(store, full.file.name, full.listing.places[0]!.offset + 500);
  const repository = await Repository.open(parts);
  const { problems } = await repository.verify({ workers: 0 });
  assert.equal(problems.length, 1);
  const affected = new Map(problems[0]!.affected.map((disk) => [disk.pointId, disk.ranges]));
  assert.deepEqual(affected.get(first.point.id), [{ offset: 0, length: SLOT_BYTES }]);
  assert.equal(
    totalBytes(affected.get(second.point.id)!),
    SLOT_BYTES - CELL_BYTES,
    'the patched cell is not affected',
  );
  assert.equal(await refusedReads(parts, world), 2);
  const patched = Buffer.alloc(CELL_BYTES);
  await repository.openDisk(second.root, SIZE).read(CELL_BYTES, patched);
  assert.ok(patched.equals(sampleBytes(CELL_BYTES, 2)));
  const single = await repository.verify({ point: first.point, workers: 0 });
  assert.deepEqual(
    single.problems.map((problem) => problem.affected.length),
    [1],
  );
});

test('a damaged page costs what lies below it, and the rest still reads', async () => {
  const store = createMemoryStore();
  const parts = partsFor(store);
  const size = 600 * MiB;
  const writes = [0, 300].map((slot) => [slot * SLOT_BYTES, sampleBytes(CELL_BYTES, slot)] as const);
  const disk = await diskWith(size, writes);
  const { root } = await backUp(await Repository.open(parts), { reader: disk, extents: disk.allocated() });
  const places = await metaObjects(store, parts);
  const costs: [string, Extent[]][] = [];
  for (const { name, place, kind } of places) {
    flip(store, name, place.offset + HEADER_BYTES);
    const repository = await Repository.open(parts);
    const { problems } = await repository.verify({ workers: 0 });
    assert.deepEqual(
      problems.map((problem) => problem.objectId),
      [hexOf(place.id)],
    );
    costs.push([kind, problems[0]!.affected.flatMap(({ ranges }) => ranges)]);
    const opened = repository.openDisk(root, size);
    for (const [offset, bytes] of writes) {
      const into = Buffer.alloc(bytes.length);
      const lost = costs
        .at(-1)![1]
        .some((range) => offset >= range.offset && offset < range.offset + range.length);
      if (lost)
        await assert.rejects(opened.read(offset, into), (error) => hasCode(error, 'REPO_OBJECT_DAMAGED'));
      else {
        await opened.read(offset, into);
        assert.ok(into.equals(bytes));
      }
    }
    flip(store, name, place.offset + HEADER_BYTES);
  }
  assert.deepEqual(costs.sort(byText), [
    ['blob', []],
    ['leaf', [{ offset: 0, length: 256 * MiB }]],
    ['leaf', [{ offset: 256 * MiB, length: 256 * MiB }]],
    ['node', [{ offset: 0, length: size }]],
  ]);
});

test('a lost pack is damage of what was in it; a lost index is rebuilt from the packs, byte for byte as good', async () => {
  const world = await twoPoints(true);
  const { store, parts } = world;
  for (const { name } of await Array.fromAsync(store.list('index/'))) flip(store, name, 40);
  const blind = await Repository.open(parts);
  assert.ok((await refusedReads(parts, world)) > 0, 'without an index nothing is found');
  const report = await blind.rebuildIndex();
  assert.deepEqual([report.packs, report.damagedPacks.length], [4, 0]);
  assert.equal(await refusedReads(parts, world), 0);
  assert.ok((await (await Repository.open(parts)).verify({ workers: 0 })).ok);
  const [pack] = await Array.fromAsync(store.list('packs/'));
  await store.delete(pack!.name);
  const lost = await (await Repository.open(parts)).verify({ workers: 0 });
  assert.ok(
    lost.problems.length > 0 && lost.problems.every(({ fault }) => hasCode(fault, 'REPO_OBJECT_DAMAGED')),
  );
});

test('an index is rebuilt also from packs whose trailers are damaged', async () => {
  const world = await twoPoints(false);
  const { store, parts } = world;
  for (const { name, size } of await Array.fromAsync(store.list('packs/'))) flip(store, name, size - 100);
  for (const { name } of await Array.fromAsync(store.list('index/'))) await store.delete(name);
  const repository = await Repository.open(parts);
  const report = await repository.rebuildIndex();
  assert.equal(report.damagedPacks.length, 4);
  assert.equal(await refusedReads(parts, world), 0);
});

test('a manifest under the name of another is refused, and a damaged one does not hide the others', async () => {
  const { store, parts } = await twoPoints(true);
  const [older, newer] = await Array.fromAsync(store.list('points/'));
  const bytes = await store.getRange(older!.name, 0, older!.size);
  store.damage(newer!.name, () => bytes);
  const repository = await Repository.open(parts);
  const seen: string[] = [];
  await assert.rejects(
    async () => {
      for await (const point of repository.points()) seen.push(point.id);
    },
    (error) => hasCode(error, 'REPO_POINT_DAMAGED'),
  );
  assert.equal(seen.length, 1);
  await assert.rejects(repository.point('latest', { vmId: VM_ID }), (error) =>
    hasCode(error, 'REPO_POINT_DAMAGED'),
  );
});
