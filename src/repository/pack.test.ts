import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { createMemoryStore, faultyStore } from '../objectstore/index.ts';
import { canonicalJson } from './canonical-json.ts';
import { KINDS, PACK_TARGET_BYTES, hexOf, packFooter, trailerEntry } from './format.ts';
import { ObjectCodec, newSalt } from './object.ts';
import { PackReader, type PackListing } from './pack-reader.ts';
import { PackWriter } from './pack-writer.ts';
import { sampleBytes } from './repository.fixture.ts';

const repositoryId = randomBytes(16);
const codec = new ObjectCodec({ idKey: randomBytes(32), sealKey: randomBytes(32) });
const salt = newSalt();

/** Ids as text: whether they are Buffers does not matter. */
function plain({ pack, places }: PackListing): string {
  return canonicalJson([
    hexOf(pack.packId),
    pack.size,
    pack.type,
    ...places.map((p) => [hexOf(p.id), p.offset, p.storedLength, p.rawLength]),
  ]);
}

async function writePacks(store = createMemoryStore(), contents = [1000, 70_000, 0, 5].map(sampleBytes)) {
  const sealed: PackListing[] = [];
  const writer = new PackWriter(store, {
    type: 'data',
    repositoryId,
    onSealed: (pack, places) =>
      sealed.push({ pack, places: places.map((place) => ({ ...place, kind: KINDS.data })) }),
  });
  for (const raw of contents) {
    const id = codec.idOf('data', raw);
    await writer.append({
      kind: 'data',
      id,
      rawLength: raw.length,
      bytes: codec.seal({ kind: 'data', raw, id, salt }),
    });
  }
  await writer.seal();
  const files = await Array.fromAsync(store.list('packs/'));
  return { store, sealed, files, reader: new PackReader(store, repositoryId) };
}

test('a pack lists what was appended, by its trailer and by walking through it', async () => {
  const { sealed, files, reader } = await writePacks();
  assert.equal(files.length, 1);
  for (const listing of [await reader.list(files[0]!), await reader.scan(files[0]!)]) {
    assert.equal(plain(listing), plain(sealed[0]!));
  }
});

test('with any byte of header, trailer or footer damaged the pack is refused, and walking still finds every object', async () => {
  const { store, sealed, files, reader } = await writePacks();
  const { name, size } = files[0]!;
  const count = sealed[0]!.places.length;
  const endBytes = count * trailerEntry.size + packFooter.size;
  for (const at of [...Array(64).keys(), ...Array.from({ length: endBytes }, (_, i) => size - 1 - i)]) {
    store.damage(name, (bytes) => bytes.with(at, bytes[at]! ^ 0x20));
    await assert.rejects(
      reader.list(files[0]!),
      (error) => hasCode(error, 'REPO_PACK_DAMAGED'),
      `byte ${at}`,
    );
    assert.equal((await reader.scan(files[0]!)).places.length, count, `byte ${at}`);
    store.damage(name, (bytes) => bytes.with(at, bytes[at]! ^ 0x20));
  }
});

test('walking passes over a damaged object header and finds those behind it; a cut pack gives what is whole', async () => {
  const { store, sealed, files, reader } = await writePacks();
  const { name, size } = files[0]!;
  const second = sealed[0]!.places[1]!;
  store.damage(name, (bytes) => bytes.with(second.offset + 20, bytes[second.offset + 20]! ^ 1));
  const found = await reader.scan(files[0]!);
  assert.deepEqual(
    found.places.map((place) => place.offset),
    sealed[0]!.places.map((p) => p.offset).toSpliced(1, 1),
  );
  store.damage(name, (bytes) => bytes.subarray(0, second.offset + 10));
  const cut = { name, size: second.offset + 10 };
  assert.equal((await reader.scan(cut)).places.length, 1);
  await assert.rejects(reader.list(cut), (error) => hasCode(error, 'REPO_PACK_DAMAGED', 'STORE_TRUNCATED'));
  assert.ok(size > cut.size);
});

test('a full pack is closed and the next begun; each is durable before it is reported', async () => {
  const big = Array.from({ length: 9 }, () => randomBytes(8 * 1024 * 1024));
  const { sealed, files } = await writePacks(createMemoryStore(), big);
  assert.equal(files.length, 3);
  assert.equal(sealed.flatMap((each) => each.places).length, 9);
  assert.ok(sealed.slice(0, 2).every(({ pack }) => pack.size >= PACK_TARGET_BYTES));
});

test('a pack that cannot be made durable fails the writer, however late it is found out', async () => {
  const inner = createMemoryStore();
  const store = faultyStore(inner, {
    before: (call) => {
      if (call.method === 'commit') throw new Error('disk on fire');
    },
  });
  const raw = sampleBytes(100, 1);
  const id = codec.idOf('data', raw);
  const writer = new PackWriter(store, {
    type: 'meta',
    repositoryId,
    onSealed: () => assert.fail('not durable'),
  });
  await writer.append({
    kind: 'blob',
    id,
    rawLength: 100,
    bytes: codec.seal({ kind: 'blob', raw, id, salt }),
  });
  await assert.rejects(writer.seal(), /disk on fire/);
  await writer.abort();
  assert.deepEqual(await Array.fromAsync(inner.list('packs/')), []);
});
