import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB, hasCode } from '../base/index.ts';
import { createMemoryStore, faultyStore } from '../objectstore/index.ts';
import { Repository } from './repository.ts';
import {
  contentOf,
  diskWith,
  draftOf,
  ingest,
  openTest,
  partsFor,
  sampleBytes,
} from './repository.fixture.ts';
import type { WriteSession } from './session.ts';

const closed = (error: unknown): boolean => hasCode(error, 'REPO_SESSION_CLOSED');

/** Commits a session that is aborted at the call of the store with this number; says whether it still committed. */
async function commitAbortedAt(step: number): Promise<{ committed: boolean; calls: number }> {
  const store = createMemoryStore();
  const parts = partsFor(store);
  const aborts: Promise<void>[] = [];
  let session: WriteSession | undefined;
  let first = Infinity;
  const watched = faultyStore(store, {
    before: ({ number }) => {
      if (session && number === first + step) aborts.push(session.abort());
    },
  });
  const repository = await Repository.open({ ...parts, store: watched });
  session = await repository.startSession({ workers: 0 });
  const disk = await diskWith(2 * MiB, [[0, sampleBytes(MiB, 1)]]);
  const { root } = await ingest(session, { reader: disk, extents: disk.allocated() });
  const draft = await draftOf(session, [{ root, size: disk.size }]);
  first = store.calls().length;
  const point = await session.commit(draft).catch((error: unknown) => {
    assert.ok(closed(error), String(error));
  });
  await Promise.all(aborts);
  const calls = store.calls().length - first;
  const reader = await Repository.open(parts);
  assert.deepEqual(await Array.fromAsync(reader.points()), point ? [point] : []);
  assert.ok((await reader.verify({ workers: 0 })).ok, `call ${step}`);
  if (point) assert.ok((await contentOf(reader.openDisk(root, disk.size))).equals(await contentOf(disk)));
  return { committed: point !== undefined, calls };
}

test('a commit that is aborted at any moment gives a whole point or none', async () => {
  const { committed, calls } = await commitAbortedAt(0);
  assert.ok(committed && calls > 5, 'not aborted at all');
  let refused = 0;
  for (let step = 1; step <= calls; step += 1) refused += (await commitAbortedAt(step)).committed ? 0 : 1;
  assert.ok(refused > 0 && refused < calls);
});

test('a session that ended takes nothing more', async () => {
  const repository = await openTest();
  const session = await repository.startSession({ workers: 0 });
  const draft = await draftOf(session, []);
  await session.abort();
  await session.abort();
  await assert.rejects(session.putBlob(Buffer.from('x')), closed);
  await assert.rejects(session.commit(draft), closed);
  const disk = await diskWith(10, []);
  await assert.rejects(ingest(session, { reader: disk, extents: [] }), closed);
  assert.deepEqual(await Array.fromAsync(repository.points()), []);
});
