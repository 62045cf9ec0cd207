/** An index of a million objects: what a question reads, what stays in memory, what becomes of many segments. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { randomBytes } from 'node:crypto';
import { MiB } from '../base/index.ts';
import { createMemoryStore, openDirectoryStore, type ObjectStore } from '../objectstore/index.ts';
import { ObjectIndex } from './object-index.ts';
import { madeId, writeMadeSegment } from './sparse-index.fixture.ts';
import { temporaryFolder } from './repository.fixture.ts';

const COUNT = 1_000_000;
const repositoryId = randomBytes(16);

/** Every `of`-th entry from `from` on, as one segment. */
function writePart(store: ObjectStore, from: number, of: number): Promise<void> {
  return writeMadeSegment(store, repositoryId, { count: COUNT, from, width: 1, of });
}

async function open(store: ObjectStore): Promise<ObjectIndex> {
  const index = new ObjectIndex(store, repositoryId);
  await index.refresh();
  return index;
}

/** Of those that are there every 499th, and as many that are not. */
async function assertFinds(index: ObjectIndex): Promise<number> {
  let asked = 0;
  for (let n = 0; n < COUNT; n += 499, asked += 1) {
    const found = await index.find(madeId(n, COUNT));
    assert.equal(found?.storedLength, 499_904, `entry ${n}`);
    assert.equal(await index.find(madeId(n, COUNT + 1)), undefined);
  }
  return asked;
}

test('a question to an index of a million objects costs one small read, and opening it one a segment', async () => {
  const store = createMemoryStore();
  for (let part = 0; part < 4; part += 1) await writePart(store, part, 4);
  const before = store.calls('getRange').length;
  const index = await open(store);
  assert.equal(store.calls('getRange').length - before, 4);
  await assertFinds(index); // filters, fan-outs and tables of packs are in the cache then
  const warm = store.calls('getRange').length;
  const asked = await assertFinds(index);
  const reads = store.calls('getRange').slice(warm);
  const bytes = reads.reduce((sum, call) => sum + call.bytes, 0);
  assert.ok(reads.length < 1.2 * asked, `${reads.length} reads for ${asked} objects`);
  assert.ok(bytes / reads.length < 32_768, `${bytes / reads.length} bytes a read`);
});

test('in a folder many segments become one of a million entries, in bounded memory', async () => {
  const store = await openDirectoryStore(mkdtempSync(join(temporaryFolder(), 'scale-')));
  for (let part = 0; part < 25; part += 1) await writePart(store, part, 25);
  const index = await open(store);
  const before = process.memoryUsage().arrayBuffers;
  await index.compact();
  assert.equal(index.segments.length, 1);
  assert.equal(index.segments[0]!.entryCount, COUNT);
  await index.segments[0]!.check();
  await assertFinds(await open(store));
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 150 * MiB, `${grown} bytes of buffers`);
  assert.deepEqual(await Array.fromAsync(store.list('locks/')), []);
});
