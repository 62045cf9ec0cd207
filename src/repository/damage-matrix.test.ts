/**
 * Every class of object × every place in it × every way to damage it: found by verification, no wrong bytes, the loss no larger
 * than docs/formats/repository.md says, and a repair never makes it worse. Then repositories that somebody made to harm.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { MiB, hasCode, isFault } from '../base/index.ts';
import { createMemoryStore, type MemoryStore } from '../objectstore/index.ts';
import {
  CELL_BYTES,
  COMPRESSION,
  ENCRYPTION,
  KINDS,
  OBJECT_MAGIC,
  closeStruct,
  objectHeader,
} from './format.ts';
import { HEADER_BYTES, ObjectCodec } from './object.ts';
import { PackReader } from './pack-reader.ts';
import type { RestorePoint } from './point.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { backUp, contentOf, diskWith, partsFor, sampleBytes, VM_ID } from './repository.fixture.ts';

const SIZE = 4 * MiB;

interface World {
  readonly store: MemoryStore;
  readonly parts: RepositoryParts;
  readonly points: readonly RestorePoint[];
  readonly contents: readonly Buffer[];
}

/** Two points of one VM, one of another; baselines, notes, quarantine and what was verified. */
async function world(encrypted = true): Promise<World> {
  const store = createMemoryStore();
  const parts = partsFor(store, encrypted);
  const disk = await diskWith(SIZE, [[0, sampleBytes(2 * MiB, 1)]]);
  const all = { reader: disk, extents: disk.allocated() };
  const first = await backUp(await Repository.open(parts), all);
  const contents = [await contentOf(disk)];
  await disk.write(CELL_BYTES, sampleBytes(CELL_BYTES, 2));
  const extents = [{ offset: CELL_BYTES, length: CELL_BYTES }];
  const second = await backUp(await Repository.open(parts), { reader: disk, extents, base: first.root });
  contents.push(await contentOf(disk));
  const other = await diskWith(SIZE, [[MiB, sampleBytes(MiB, 3)]]);
  const third = await backUp(
    await Repository.open(parts),
    { reader: other, extents: other.allocated() },
    '11111111-2222-4333-8444-555555555555',
  );
  contents.push(await contentOf(other));
  const repository = await Repository.open(parts);
  const common = { referencePointId: 'r', consistency: 'crash', disks: [] } as const;
  for (const { point } of [first, second])
    await repository.recordBaseline({ ...common, pointId: point.id, vmId: VM_ID });
  for (const key of ['run1-freezing', 'run2-freezing'])
    await repository.journal.record(VM_ID, { key, value: { step: 'freezing' } });
  await repository.verify({ workers: 0 });
  return { store, parts, contents, points: [first.point, second.point, third.point] };
}

/** What can be had: `point/slot` of every MiB that reads right. Wrong bytes fail the test. */
async function restorable({ parts, contents, points }: World): Promise<Set<string>> {
  const had = new Set<string>();
  const repository = await Repository.open(parts);
  const listed = new Set<string>();
  try {
    for await (const { id } of repository.points()) listed.add(id);
  } catch (error) {
    assert.ok(isFault(error) && error.kind === 'corrupt', String(error));
  }
  for (const [index, point] of points.entries()) {
    if (!listed.has(point.id)) continue;
    const disk = repository.openDisk(point.disks[0]!.root, SIZE);
    for (let at = 0; at < SIZE; at += MiB) {
      const bytes = Buffer.alloc(MiB);
      try {
        await disk.read(at, bytes);
      } catch (error) {
        assert.ok(isFault(error) && error.kind === 'corrupt', String(error));
        continue;
      }
      assert.ok(bytes.equals(contents[index]!.subarray(at, at + MiB)), 'wrong bytes were returned');
      had.add(`${index}/${at / MiB}`);
    }
  }
  return had;
}

const WAYS: Readonly<
  Record<string, (store: MemoryStore, name: string, others: readonly string[]) => Promise<void>>
> = {
  'the first byte flipped': (store, name) => flip(store, name, () => 0),
  'a byte of the body flipped': (store, name) => flip(store, name, (size) => Math.floor(size / 2)),
  'a byte of the trailer flipped': (store, name) => flip(store, name, (size) => size - 70),
  'the last byte flipped': (store, name) => flip(store, name, (size) => size - 1),
  'cut in half': async (store, name) => store.damage(name, (bytes) => bytes.slice(0, bytes.length / 2)),
  emptied: async (store, name) => store.damage(name, () => new Uint8Array(0)),
  'longer by a byte': async (store, name) =>
    store.damage(name, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])),
  removed: async (store, name) => store.delete(name),
  'exchanged for another of its class': async (store, name, others) => {
    const other = others.find((each) => each !== name);
    if (other === undefined) return;
    const size = (await store.stat(other))!.size;
    const bytes = await store.getRange(other, 0, size);
    store.damage(name, () => bytes);
  },
};

async function flip(store: MemoryStore, name: string, at: (size: number) => number): Promise<void> {
  store.damage(name, (bytes) => {
    const index = Math.min(Math.max(0, at(bytes.length)), bytes.length - 1);
    return bytes.with(index, bytes[index]! ^ 0x41);
  });
}

/** Of 12 slots: how many a single file of the class may cost at most. */
const LOSS_MAX: Readonly<Record<string, number>> = {
  // Two points share the data pack and the leaves' pack of the first; the index holds all.
  packs: 8,
  index: 12,
  points: 4,
  baselines: 0,
  journal: 0,
  verified: 0,
};

for (const encrypted of [true, false]) {
  test(`${encrypted ? 'encrypted' : 'plain'}: each way of damage to each class of files is found, costs what it may, and repair never makes it worse`, async () => {
    let cases = 0;
    // What a seal changes is how objects are opened: without one, the areas of objects show it.
    const areas = Object.entries(LOSS_MAX).filter(
      ([area]) => encrypted || ['packs', 'points'].includes(area),
    );
    for (const [area, most] of areas) {
      for (const [way, damage] of Object.entries(WAYS)) {
        const made = await world(encrypted);
        const names = (await Array.fromAsync(made.store.list(`${area}/`))).map(({ name }) => name);
        const [name] = names;
        await damage(made.store, name!, names);
        const before = await restorable(made);
        const title = `${area}: ${way}`;
        assert.ok(before.size >= 12 - most, `${title}: ${12 - before.size} lost`);
        const found = await (await Repository.open(made.parts)).verify({ workers: 0 });
        const isUnseen = HARMLESS.has(title) || (way.startsWith('exchanged') && names.length < 2);
        if (!isUnseen) assert.ok(!found.ok || before.size === 12, `${title} was not found`);
        if (before.size < 12 && area !== 'points') assert.ok(!found.ok, title);
        await (await Repository.open(made.parts)).rebuildIndex({ dryRun: true });
        await (await Repository.open(made.parts)).rebuildIndex();
        const after = await restorable(made);
        for (const slot of before) assert.ok(after.has(slot), `${title}: the repair lost ${slot}`);
        if (area === 'index') assert.equal(after.size, 12, title);
        cases += 1;
      }
    }
    assert.equal(cases, areas.length * 9);
  });
}

/** A file that is gone, and that nothing else names, is not missed: see the table of costs. */
const HARMLESS = new Set(['points: removed', 'baselines: removed', 'journal: removed', 'verified: removed']);

test('a pack under the name of another gives nothing of it, and both are named', async () => {
  const made = await world();
  const [a, b] = await Array.fromAsync(made.store.list('packs/'));
  assert.ok(a && b);
  const bytes = await Promise.all(
    [a, b].map(async ({ name }) => made.store.getRange(name, 0, (await made.store.stat(name))!.size)),
  );
  made.store.damage(a.name, () => bytes[1]!);
  made.store.damage(b.name, () => bytes[0]!);
  assert.ok((await restorable(made)).size < 12);
  const { problems } = await (await Repository.open(made.parts)).verify({ workers: 0 });
  for (const { name } of [a, b])
    assert.ok(
      problems.some(({ fault }) => fault.message.includes(name)),
      `${name} is not named`,
    );
});

test('ciphertext moved to the place of another object is refused by its id', async () => {
  const made = await world();
  const packs = new PackReader(made.store, Buffer.from(made.parts.header.repositoryId, 'hex'));
  let moved = 0;
  for await (const file of made.store.list('packs/')) {
    const { places } = await packs.list(file);
    for (const to of places) {
      const from = places.find((each) => each !== to && each.storedLength <= to.storedLength);
      if (!from) continue;
      const length = HEADER_BYTES + from.storedLength;
      made.store.damage(file.name, (bytes) => {
        const changed = Uint8Array.from(bytes);
        changed.set(bytes.subarray(from.offset, from.offset + length), to.offset);
        return changed;
      });
      moved += 1;
      break;
    }
  }
  assert.ok(moved > 1);
  assert.ok((await restorable(made)).size < 12);
  assert.ok(!(await (await Repository.open(made.parts)).verify({ workers: 0 })).ok);
});

test('a manifest that was replayed under a newer name, or into another VM, is refused by name', async () => {
  const made = await world();
  const [first] = await Array.fromAsync(made.store.list('points/'));
  const bytes = await made.store.getRange(first!.name, 0, first!.size);
  const folder = first!.name.split('/')[1]!;
  const foreign = (await Array.fromAsync(made.store.list('points/'))).find(
    ({ name }) => !name.includes(folder),
  )!;
  for (const name of [
    first!.name.replace(/\/\d{8}t/, '/20991231t'),
    first!.name.replace(folder, foreign.name.split('/')[1]!),
  ]) {
    await made.store.putNew(name, bytes);
    const repository = await Repository.open(made.parts);
    const seen: string[] = [];
    await assert.rejects(
      async () => {
        for await (const { id } of repository.points()) seen.push(id);
      },
      (error) => hasCode(error, 'REPO_POINT_DAMAGED') && (error as Error).message.includes(name),
    );
    assert.equal(new Set(seen).size, 3, 'the others are still there');
    assert.ok(!(await repository.verify({ workers: 0 })).ok);
    await made.store.delete(name);
  }
});

test('a frame that unpacks to more than its header says is refused without being unpacked', async () => {
  const parts = partsFor(createMemoryStore(), false);
  const codec = new ObjectCodec(parts.keys);
  const bomb = zstdCompressSync(Buffer.alloc(256 * MiB)); // 8 KiB that would be 256 MiB
  assert.ok(bomb.length < 64 * 1024);
  const raw = Buffer.alloc(1000);
  const object = Buffer.alloc(HEADER_BYTES + bomb.length);
  objectHeader.write(object, {
    magic: OBJECT_MAGIC,
    kind: KINDS.data,
    compression: COMPRESSION.zstd,
    encryption: ENCRYPTION.none,
    rawLength: raw.length,
    storedLength: bomb.length,
    id: codec.idOf('data', raw),
    salt: new Uint8Array(16),
    nonce: new Uint8Array(12),
  });
  closeStruct(object, HEADER_BYTES);
  object.set(bomb, HEADER_BYTES);
  const before = process.memoryUsage().rss;
  assert.throws(() => codec.open(object, { kind: 'data' }), /decompressed|length/);
  assert.ok(process.memoryUsage().rss - before < 64 * MiB);
});

test('what looks like an object of ours inside a chunk is not taken for it when a torn pack is walked', async () => {
  const made = await world(false);
  const codec = new ObjectCodec(made.parts.keys);
  const victim = sampleBytes(MiB, 1); // the first chunk of the first point
  const forged = Buffer.alloc(HEADER_BYTES + 512, 7);
  objectHeader.write(forged, {
    magic: OBJECT_MAGIC,
    kind: KINDS.data,
    compression: COMPRESSION.none,
    encryption: ENCRYPTION.none,
    rawLength: 512,
    storedLength: 512,
    id: codec.idOf('data', victim),
    salt: new Uint8Array(16),
    nonce: new Uint8Array(12),
  });
  closeStruct(forged, HEADER_BYTES);
  // Bytes that do not compress are stored as they are.
  const noise = randomBytes(MiB);
  const guest = await diskWith(SIZE, [
    [0, Buffer.concat([noise.subarray(0, 1000), forged, noise]).subarray(0, MiB)],
  ]);
  const known = new Set((await Array.fromAsync(made.store.list('packs/'))).map(({ name }) => name));
  await backUp(await Repository.open(made.parts), { reader: guest, extents: guest.allocated() });
  for await (const { name, size } of made.store.list('packs/')) {
    if (known.has(name)) continue;
    // The header of the chunk and the end of the pack are gone: a walk finds what lies inside.
    made.store.damage(name, (bytes) => bytes.with(64, 0).with(size - 1, 0));
  }
  const packs = new PackReader(made.store, Buffer.from(made.parts.header.repositoryId, 'hex'));
  const walked = [];
  for await (const file of made.store.list('packs/'))
    if (!known.has(file.name)) walked.push(...(await packs.scan(file)).places);
  assert.ok(
    walked.some(({ rawLength }) => rawLength === 512),
    'a walk meets the forged header',
  );
  const before = await restorable(made);
  await (await Repository.open(made.parts)).rebuildIndex();
  const after = await restorable(made);
  assert.deepEqual([before.size, after.size], [12, 12]);
});
