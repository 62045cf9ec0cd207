/** Repositories that somebody made to harm: refused by name, nothing wrong is given, and nothing is unpacked that is too large. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { MiB, hasCode } from '../base/index.ts';
import { createMemoryStore, type MemoryStore } from '../objectstore/index.ts';
import {
  bytesOf,
  copyOf,
  damageWorld,
  namesIn,
  packReader,
  restorable,
  type World,
} from './damage.fixture.ts';
import {
  COMPRESSION,
  ENCRYPTION,
  KINDS,
  OBJECT_MAGIC,
  closeStruct,
  objectHeader,
  type ObjectKind,
} from './format.ts';
import { HEADER_BYTES, ObjectCodec } from './object.ts';
import { createRepository } from './open-repository.ts';
import { PackReader } from './pack-reader.ts';
import { Repository } from './repository.ts';
import { backUp, contentOf, diskWith, partsFor, sampleBytes } from './repository.fixture.ts';

/** Made once, and copied for each test. */
const sealed = await damageWorld(true);

const pointNames = async (store: MemoryStore): Promise<string[]> =>
  (await namesIn(store)).filter((name) => name.startsWith('points/'));

async function replaceBy(store: MemoryStore, name: string, from: MemoryStore, other = name): Promise<void> {
  const bytes = await bytesOf(from, other);
  store.damage(name, () => bytes);
}

/** Ids of the points that are listed, and what is thrown after them. */
async function listed(world: World): Promise<{ ids: string[]; error: unknown }> {
  const ids: string[] = [];
  try {
    for await (const { id } of (await world.open()).points()) ids.push(id);
    return { ids, error: undefined };
  } catch (error) {
    return { ids, error };
  }
}

async function problemsOf(world: World) {
  return (await (await world.open()).verify({ workers: 0 })).problems;
}

async function assertNamed(world: World, ...names: readonly string[]): Promise<void> {
  const problems = await problemsOf(world);
  for (const name of names)
    assert.ok(
      problems.some(({ fault }) => fault.message.includes(name)),
      `${name} is not named`,
    );
}

for (const area of ['packs', 'points', 'index', 'baselines', 'journal', 'pins', 'epoch']) {
  test(`two files of ${area} that were exchanged give nothing of each other, and both are named`, async () => {
    const made = await copyOf(sealed);
    const [a, b] = (await namesIn(made.store)).filter((name) => name.startsWith(`${area}/`));
    assert.ok(a !== undefined && b !== undefined);
    await replaceBy(made.store, a, sealed.store, b);
    await replaceBy(made.store, b, sealed.store, a);
    await restorable(made); // whatever can be had is right
    await assertNamed(made, a, b);
  });
}

test('key slots that were exchanged, and the header of another repository, are refused by what they are', async () => {
  const made = await copyOf(sealed);
  const [a, b] = (await namesIn(made.store)).filter((name) => name.startsWith('keys/'));
  await replaceBy(made.store, a!, sealed.store, b!);
  await replaceBy(made.store, b!, sealed.store, a!);
  await assert.rejects(
    made.open(),
    (error) => hasCode(error, 'REPO_HEADER_DAMAGED') && /another slot/.test(error.message),
  );
  const another = createMemoryStore();
  await createRepository(another, { encryption: 'none' });
  const swapped = await copyOf(sealed);
  await replaceBy(swapped.store, 'hvlift.json', another);
  await assert.rejects(swapped.open(), (error) => hasCode(error, 'REPO_NOT_ENCRYPTED'));
});

test('ciphertext moved to the place of another object is refused by its id', async () => {
  const made = await copyOf(sealed);
  const reader = packReader(made, await made.open());
  let moved = 0;
  for await (const file of made.store.list('packs/')) {
    const { places } = await reader.list(file);
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
  assert.ok((await restorable(made)).size < made.slots);
  assert.ok((await problemsOf(made)).length >= moved);
});

test('an old manifest replayed in the place of a newer one, under a newer name, or into another VM is refused by name', async () => {
  const [old, newer] = (await pointNames(sealed.store)).filter((name) => name.includes(folderOf(sealed, 0)));
  const folders = [0, 2].map((point) => folderOf(sealed, point));
  const replays = [
    newer!,
    old!.replace(/\/\d{8}t/, '/20991231t'),
    old!.replace(folders[0]!, folders[1]!),
  ] as const;
  for (const name of replays) {
    const made = await copyOf(sealed);
    if (await made.store.stat(name)) await made.store.delete(name);
    await made.store.putNew(name, await bytesOf(sealed.store, old!));
    const { ids, error } = await listed(made);
    assert.ok(hasCode(error, 'REPO_POINT_DAMAGED') && error.message.includes(name), String(error));
    assert.equal(new Set(ids).size, name === newer ? 2 : 3, 'the others are still there');
    await assertNamed(made, name);
  }
});

function folderOf({ points }: World, point: number): string {
  const name = sealedNames.find((each) => each.endsWith(points[point]!.id))!;
  return name.split('/')[1]!;
}
const sealedNames = await pointNames(sealed.store);

test('an old epoch replayed as the newest does not bring back what it condemned: nothing is deleted by it', async () => {
  const made = await copyOf(sealed);
  const epochs = (await namesIn(made.store)).filter((name) => name.startsWith('epoch/'));
  const next = `epoch/${String(Number(epochs.at(-1)!.split('/')[1]) + 1).padStart(8, '0')}`;
  await made.store.putNew(next, await bytesOf(made.store, epochs[0]!));
  await assertNamed(made, next);
  const packs = (await namesIn(made.store)).filter((name) => name.startsWith('packs/'));
  const { deleted } = await (await made.open()).collect();
  assert.equal(deleted.packs, 0);
  assert.deepEqual(
    (await namesIn(made.store)).filter((name) => name.startsWith('packs/')),
    packs,
  );
  assert.equal((await restorable(made)).size, made.slots);
});

test('files of another repository, under the same secret, are not taken for its own', async () => {
  const other = await damageWorld(true);
  for (const area of ['packs', 'points', 'index', 'baselines', 'epoch', 'quarantine', 'verified']) {
    const made = await copyOf(sealed);
    const own = (await namesIn(made.store)).find((name) => name.startsWith(`${area}/`))!;
    const foreign = (await namesIn(other.store)).find((name) => name.startsWith(`${area}/`))!;
    await made.store.putNew(`${own.slice(0, -2)}zz`, await bytesOf(other.store, foreign));
    await replaceBy(made.store, own, other.store, foreign);
    await restorable(made);
    await assertNamed(made, own);
  }
});

/** An object that says it has so many bytes, and whose frame unpacks to `BOMB_BYTES`. */
function bombOf(codec: ObjectCodec, kind: ObjectKind, rawLength: number): Buffer {
  const object = Buffer.alloc(HEADER_BYTES + bomb.length);
  objectHeader.write(object, {
    magic: OBJECT_MAGIC,
    kind: KINDS[kind],
    compression: COMPRESSION.zstd,
    encryption: ENCRYPTION.none,
    rawLength,
    storedLength: bomb.length,
    id: codec.idOf(kind, Buffer.alloc(1000)),
    salt: new Uint8Array(16),
    nonce: new Uint8Array(12),
  });
  closeStruct(object, HEADER_BYTES);
  object.set(bomb, HEADER_BYTES);
  return object;
}

const BOMB_BYTES = 256 * MiB;
/** 8 KiB. */
const bomb = zstdCompressSync(Buffer.alloc(BOMB_BYTES));

test('a frame of any kind that unpacks to more than its header says, or than any object has, is refused without being unpacked', () => {
  const codec = new ObjectCodec(partsFor(createMemoryStore(), false).keys);
  assert.ok(bomb.length < 64 * 1024);
  const before = process.memoryUsage().rss;
  for (const kind of Object.keys(KINDS) as ObjectKind[]) {
    assert.throws(() => codec.open(bombOf(codec, kind, 1000), { kind }), /decompressed|length/, kind);
    assert.throws(() => codec.open(bombOf(codec, kind, BOMB_BYTES), { kind }), /impossible|length/, kind);
  }
  assert.ok(process.memoryUsage().rss - before < 64 * MiB);
});

test('bombs in the place of records are refused by name, and hide no other', async () => {
  const store = createMemoryStore();
  const parts = partsFor(store, false);
  const repository = await Repository.open(parts);
  const disk = await diskWith(MiB, [[0, randomBytes(1000)]]);
  const { point } = await backUp(repository, { reader: disk, extents: disk.allocated() });
  const codec = new ObjectCodec(parts.keys);
  const [name] = await pointNames(store);
  const bombs = {
    manifest: name!.replace(/\/\d{8}t/, '/20991231t'),
    epoch: 'epoch/00000001',
    quarantine: 'quarantine/20991231t000000000z-0123456789abcdef',
  } as const;
  for (const [kind, at] of Object.entries(bombs) as [ObjectKind, string][])
    await store.putNew(at, bombOf(codec, kind, 1000));
  const before = process.memoryUsage().rss;
  const opened = await Repository.open(parts);
  const ids: string[] = [];
  await assert.rejects(
    async () => {
      for await (const { id } of opened.points()) ids.push(id);
    },
    (error) => hasCode(error, 'REPO_POINT_DAMAGED') && error.message.includes(bombs.manifest),
  );
  assert.deepEqual(ids, [point.id]);
  const { problems } = await opened.verify({ workers: 0 });
  for (const at of Object.values(bombs))
    assert.ok(
      problems.some(({ fault }) => fault.message.includes(at)),
      `${at} is not named`,
    );
  assert.ok(process.memoryUsage().rss - before < 64 * MiB);
});

test('what looks like an object of ours inside a chunk is not taken for it when a torn pack is walked', async () => {
  const store = createMemoryStore();
  const parts = partsFor(store, false);
  const victim = sampleBytes(MiB, 1);
  const other = await diskWith(MiB, [[0, victim]]);
  const { root } = await backUp(await Repository.open(parts), { reader: other, extents: other.allocated() });
  const codec = new ObjectCodec(parts.keys);
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
  const guest = await diskWith(MiB, [
    [0, Buffer.concat([noise.subarray(0, 1000), forged, noise]).subarray(0, MiB)],
  ]);
  const known = new Set(await namesIn(store));
  await backUp(await Repository.open(parts), { reader: guest, extents: guest.allocated() });
  const packs = new PackReader(store, Buffer.from(parts.header.repositoryId, 'hex'));
  const walked = [];
  for await (const file of store.list('packs/')) {
    if (known.has(file.name)) continue;
    // The header of the chunk and the end of the pack are gone: a walk finds what lies inside.
    store.damage(file.name, (bytes) => bytes.with(64, 0).with(file.size - 1, 0));
    walked.push(...(await packs.scan(file)).places);
  }
  assert.ok(
    walked.some(({ rawLength }) => rawLength === 512),
    'a walk meets the forged header',
  );
  const repository = await Repository.open(parts);
  await repository.rebuildIndex();
  const read = await contentOf((await Repository.open(parts)).openDisk(root, MiB));
  assert.ok(read.equals(victim));
});
