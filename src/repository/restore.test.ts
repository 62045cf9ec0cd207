/** Restoring into images when something is wrong: it ends with a fault that says what, never with an image that lacks it. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MiB, hasCode, type Progress } from '../base/index.ts';
import type { FileSpan, PlacedWriter } from '../disk/index.ts';
import { createMemoryStore, openDirectoryStore, type ObjectStore } from '../objectstore/index.ts';
import { CELL_BYTES, PACK_TYPES, packHeader } from './format.ts';
import type { MapRoot } from './map-root.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { backUp, contentOf, diskWith, partsFor, sampleBytes, temporaryFolder } from './repository.fixture.ts';

const SIZE = 3 * MiB + 700;
let made = 0;

async function stored(store: ObjectStore) {
  const parts = partsFor(store);
  const disk = await diskWith(SIZE, [
    [5000, sampleBytes(MiB, 1)],
    [2 * MiB + CELL_BYTES, sampleBytes(CELL_BYTES, 2)],
    [SIZE - 100, sampleBytes(100, 3)],
  ]);
  const { root } = await backUp(await Repository.open(parts), { reader: disk, extents: disk.allocated() });
  return { parts, root, content: await contentOf(disk) };
}

async function storedInFolder() {
  const folder = join(temporaryFolder(), `repository-${(made += 1)}`);
  mkdirSync(folder);
  const store = await openDirectoryStore(folder);
  return { ...(await stored(store)), store, dataPack: await dataPackOf(store) };
}

async function dataPackOf(store: ObjectStore): Promise<{ name: string; size: number }> {
  for await (const file of store.list('packs/')) {
    const { type } = packHeader.read(await store.getRange(file.name, 0, packHeader.size));
    if (type === PACK_TYPES.data) return file;
  }
  throw new Error('there is no data pack');
}

/** A raw image that is laid out as it is asked; nothing of an image format is in the way. */
function rawTarget(path: string): PlacedWriter {
  const place = (fileOffset: number, length: number): FileSpan[] => [{ fileOffset, length }];
  return { path, size: SIZE, place, finish: async () => {}, abort: async () => {} };
}

async function restore(
  parts: RepositoryParts,
  root: MapRoot,
  options: { path?: string; workers?: number; signal?: AbortSignal; progress?: Progress } = {},
): Promise<Buffer> {
  const image = join(temporaryFolder(), `image-${(made += 1)}`);
  writeFileSync(image, '');
  truncateSync(image, SIZE);
  const { path = image, workers = 0, ...rest } = options;
  const repository = await Repository.open(parts);
  await repository.restoreDisk({ root, size: SIZE, target: rawTarget(path), workers, ...rest });
  return readFileSync(image);
}

test('whole, it is the disk, and progress adds up to its size', async () => {
  const { parts, root, content } = await storedInFolder();
  let advanced = 0;
  const progress = { phase() {}, note() {}, advance: (bytes: number) => (advanced += bytes) };
  assert.ok((await restore(parts, root, { progress })).equals(content));
  assert.equal(advanced, SIZE);
});

test('a damaged chunk ends it, whether workers read the packs or are handed them', async () => {
  const inFolder = await storedInFolder();
  const path = inFolder.store.localPath!(inFolder.dataPack.name);
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.with(5000, bytes[5000]! ^ 1));
  const store = createMemoryStore();
  const inMemory = await stored(store);
  store.damage((await dataPackOf(store)).name, (each) => each.with(5000, each[5000]! ^ 1));
  for (const { parts, root } of [inFolder, inMemory]) {
    for (const workers of [0, 1]) {
      await assert.rejects(restore(parts, root, { workers }), (error) =>
        hasCode(error, 'REPO_OBJECT_DAMAGED'),
      );
    }
  }
});

test('a pack that is cut short or missing ends it', async () => {
  const { parts, root, store, dataPack } = await storedInFolder();
  const path = store.localPath!(dataPack.name);
  truncateSync(path, 3000);
  await assert.rejects(
    restore(parts, root),
    (error) => hasCode(error, 'REPO_OBJECT_DAMAGED') && /cut short/.test(String(error)),
  );
  rmSync(path);
  await assert.rejects(restore(parts, root), (error) => hasCode(error, 'REPO_OBJECT_DAMAGED'));
});

test('a target that cannot be written ends it: a full volume by its own name', async () => {
  const { parts, root } = await storedInFolder();
  for (const workers of [0, 1]) {
    await assert.rejects(restore(parts, root, { path: '/dev/full', workers }), (error) =>
      hasCode(error, 'DISK_NO_SPACE'),
    );
    await assert.rejects(restore(parts, root, { path: '/no-such-folder/image', workers }), (error) =>
      hasCode(error, 'DISK_IO_FAILED'),
    );
  }
});

test('it can be cancelled', async () => {
  const { parts, root } = await storedInFolder();
  const signal = AbortSignal.abort(new Error('stop'));
  await assert.rejects(restore(parts, root, { signal }), /stop/);
});
