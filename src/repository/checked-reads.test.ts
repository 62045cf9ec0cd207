/** What a collector moves, deletes and forgets while it is verified is no damage; what a restore point needs always is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { createMemoryStore, faultyStore, type MemoryStore } from '../objectstore/index.ts';
import { CheckedReads } from './checked-reads.ts';
import { dropPoint, fullBackup, thinDisk } from './collector.fixture.ts';
import { hexOf, packName } from './format.ts';
import { encodeChecked } from './header.ts';
import { repositoryPool } from './jobs.ts';
import { HEADER_BYTES, ObjectCodec } from './object.ts';
import { ObjectIndex } from './object-index.ts';
import { ObjectReader } from './object-reader.ts';
import { PackReader, type ListedObject, type PackListing } from './pack-reader.ts';
import type { RestorePoint } from './point.ts';
import { Quarantine } from './quarantine.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { partsFor } from './repository.fixture.ts';
import { SealedRecords } from './sealed-record.ts';
import type { PackInfo } from './segment-writer.ts';

interface World {
  readonly store: MemoryStore;
  readonly parts: RepositoryParts;
  readonly repositoryId: Uint8Array;
  /** Of a VM that is to go. */
  readonly point: RestorePoint;
  /** Its chunks, which nothing else needs. */
  readonly pack: PackInfo;
  readonly chunks: readonly ListedObject[];
}

async function world(): Promise<World> {
  const store = createMemoryStore();
  const parts = partsFor(store);
  const repositoryId = Buffer.from(parts.header.repositoryId, 'hex');
  const point = await fullBackup(await Repository.open(parts), await thinDisk(1), 'vm-gone');
  const { pack, places: chunks } = (await listings(store, repositoryId)).find(
    ({ pack: { type } }) => type === 'data',
  )!;
  await fullBackup(await Repository.open(parts), await thinDisk(2), 'vm-kept');
  return { store, parts, repositoryId, point, pack, chunks };
}

async function listings(store: MemoryStore, repositoryId: Uint8Array): Promise<PackListing[]> {
  const reader = new PackReader(store, repositoryId);
  return Array.fromAsync(store.list('packs/'), (file) => reader.list(file));
}

const collected = async ({ parts }: World, runs: number): Promise<void> => {
  for (let run = 0; run < runs; run += 1) await (await Repository.open(parts)).collect();
};

/** A collector that has asked who is at work already, and goes on when it is let. */
async function collectorAtWork({ store, parts }: World): Promise<() => Promise<void>> {
  const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow = faultyStore(store, {
    async before({ method, name }) {
      if (method !== 'list' || !name.startsWith('points')) return;
      reached.resolve();
      await go.promise;
    },
  });
  const collecting = (await Repository.open({ ...parts, store: slow })).collect();
  await reached.promise;
  return async () => {
    go.resolve();
    await collecting;
  };
}

/** The index names the pack again, as a segment has it that a session merged while the collector was at work. */
async function nameAgain({ store, repositoryId, pack, chunks }: World): Promise<void> {
  await new ObjectIndex(store, repositoryId).add({ packs: [pack], places: chunks });
}

/** Does something at the first read of an object in the pack: what stands in it is known by then. */
function meddled({ store, pack, chunks }: World, meddle: () => Promise<void>) {
  const lengths = new Set(chunks.map(({ storedLength }) => HEADER_BYTES + storedLength));
  const state = { done: false };
  const meddledStore = faultyStore(store, {
    async before({ method, name, bytes }) {
      if (state.done || method !== 'getRange' || name !== packName(pack.packId) || !lengths.has(bytes))
        return;
      state.done = true;
      await meddle();
    },
  });
  return { state, store: meddledStore };
}

/** A question to the index that finds nothing is followed by what another session does. */
class InterruptedIndex extends ObjectIndex {
  next: (() => Promise<void>) | undefined;

  override async find(...asked: Parameters<ObjectIndex['find']>): ReturnType<ObjectIndex['find']> {
    const found = await super.find(...asked);
    const next = this.next;
    if (!found && next) {
      this.next = undefined;
      await next();
    }
    return found;
  }
}

test('what was collected, and is stored anew between two questions to the index, is not damaged at its old place', async () => {
  const made = await world();
  const { store, parts, repositoryId, point, pack, chunks } = made;
  const index = new InterruptedIndex(store, repositoryId);
  await index.refresh();
  const codec = new ObjectCodec(parts.keys);
  const objects = new ObjectReader(store, index, codec);
  const quarantine = new Quarantine({ store, records: new SealedRecords(store, codec), now: parts.now });
  const pool = repositoryPool(parts.keys, 0);
  const reads = new CheckedReads({ objects, pool, quarantine, isDoomed: async () => false }, {});
  await dropPoint(store, point);
  await collected(made, 2);
  assert.equal(await store.stat(packName(pack.packId)), undefined);
  let storedAnew = false;
  index.next = async () => {
    await fullBackup(await Repository.open(parts), await thinDisk(1), 'vm-again');
    await index.refresh();
    storedAnew = true;
  };
  await reads.place('data', chunks[0]!);
  await reads.settle();
  await pool.close();
  assert.ok(storedAnew);
  assert.deepEqual([...reads.damaged], []);
});

for (const listed of [true, false]) {
  test(`a pack that a collector deleted is not lost, though a segment made meanwhile names it: ${listed ? 'its objects were listed' : 'it was to be listed'}`, async () => {
    const made = await world();
    await dropPoint(made.store, made.point);
    await collected(made, 1);
    const collect = await collectorAtWork(made);
    const deleteAndName = async (): Promise<void> => {
      await collect();
      await nameAgain(made);
    };
    const { state, store } = meddled(made, deleteAndName);
    if (!listed) await deleteAndName();
    const repository = await Repository.open({ ...made.parts, store });
    const { problems } = await repository.verify({ workers: 0, budget: { percent: 100 } });
    assert.equal(state.done, listed);
    assert.equal(await made.store.stat(packName(made.pack.packId)), undefined);
    assert.deepEqual(problems, []);
    assert.ok(!repository.hasQuarantine, 'nothing is called damaged');
  });
}

test('what a restore point needs is damage when it is gone, though nothing names it any more', async () => {
  const made = await world();
  const { state, store } = meddled(made, async () => {
    const index = new ObjectIndex(made.store, made.repositoryId);
    await index.refresh();
    await index.drop((packId) => hexOf(packId) !== hexOf(made.pack.packId));
    await made.store.delete(packName(made.pack.packId));
  });
  const { problems } = await (await Repository.open({ ...made.parts, store })).verify({ workers: 0 });
  assert.ok(state.done);
  const lost = problems.filter(({ affected }) => affected.some(({ pointId }) => pointId === made.point.id));
  assert.equal(lost.length, made.chunks.length);
});

test('a pack that is torn, and goes while its objects are looked for, is named as torn and nothing else', async () => {
  const made = await world();
  const { store: plain, point, pack } = made;
  await dropPoint(plain, point);
  await collected(made, 1);
  plain.damage(packName(pack.packId), (bytes) => bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1));
  const collect = await collectorAtWork(made);
  let looks = 0;
  const store = faultyStore(plain, {
    async before({ method, name, bytes }) {
      if (method !== 'getRange' || name !== packName(pack.packId) || bytes !== HEADER_BYTES) return;
      looks += 1;
      if (looks === 2) await collect();
    },
  });
  const { problems } = await (
    await Repository.open({ ...made.parts, store })
  ).verify({ workers: 0, budget: { percent: 100 } });
  assert.equal(await plain.stat(packName(pack.packId)), undefined);
  assert.deepEqual(
    problems.map(({ fault }) => fault.code),
    ['REPO_PACK_DAMAGED'],
  );
});

test('files that are removed between being listed and being read are no damage', async () => {
  const made = await world();
  const { store: plain, parts, point, pack } = made;
  const repository = await Repository.open(parts);
  const { id: pointId } = point;
  const baseline = {
    pointId,
    vmId: 'vm-gone',
    referencePointId: 'r',
    consistency: 'crash',
    disks: [],
  } as const;
  await repository.recordBaseline(baseline);
  await repository.journal.record('vm-gone', { key: 'run-freezing', value: { step: 'freezing' } });
  const [kept] = await Array.fromAsync(repository.points({ vmId: 'vm-kept' }));
  await repository.pin(kept!, 'held');
  await plain.putNew('keys/one', encodeChecked({ kind: 'passphrase' }));
  await repository.verify({ workers: 0 });
  await dropPoint(plain, point);
  await collected(made, 1);
  const collect = await collectorAtWork(made);
  let removed = 0;
  for (const area of ['baselines', 'journal', 'pins', 'keys', 'epoch', 'verified', 'packs']) {
    const names = (await Array.fromAsync(plain.list(`${area}/`))).map(({ name }) => name);
    const target = area === 'packs' ? packName(pack.packId) : names[0]!;
    // A file is read to be used before it is read to be checked.
    for (const read of [1, 2]) {
      let reads = 0;
      const [{ size }] = [(await plain.stat(target))!];
      const bytes = await plain.getRange(target, 0, size);
      const store = faultyStore(plain, {
        async before({ method, name }) {
          if (method !== 'getRange' || name !== target || (reads += 1) !== read) return;
          removed += 1;
          if (area === 'packs') await collect();
          else await plain.delete(target);
        },
      });
      const { problems } = await (await Repository.open({ ...parts, store })).verify({ workers: 0 });
      assert.deepEqual(problems, [], `${target}, before it was read the ${read}. time`);
      if (area === 'packs') break;
      if (!(await plain.stat(target))) await plain.putNew(target, bytes);
    }
  }
  assert.equal(await plain.stat(packName(pack.packId)), undefined);
  assert.ok(removed >= 7, `${removed} files`);
});

test('an index whose files are listed and not given is said to be unsettled, which another run may mend', async () => {
  const { store: plain, parts } = await world();
  const store = faultyStore(plain, {
    async before({ method, name }) {
      if (method === 'getRange' && name.startsWith('index/')) await plain.delete(name);
    },
  });
  let stored = 0;
  const relisted = faultyStore(store, {
    async before({ method }) {
      if (method !== 'list') return;
      const index = new ObjectIndex(plain, Buffer.from(parts.header.repositoryId, 'hex'));
      await index.add({ packs: [], places: [] });
      stored += 1;
    },
  });
  await assert.rejects(Repository.open({ ...parts, store: relisted }), (error) =>
    hasCode(error, 'REPO_INDEX_UNSETTLED'),
  );
  assert.ok(stored > 3);
});
