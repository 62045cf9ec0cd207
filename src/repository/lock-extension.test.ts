import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryStore, type ObjectStore } from '../objectstore/index.ts';
import { dropPoint, fullBackup, thinDisk } from './collector.fixture.ts';
import { Repository } from './repository.ts';
import { partsFor } from './repository.fixture.ts';

const DAY_MS = 24 * 3600 * 1000;

/** A store that locks, and remembers until when. */
function lockingStore(days: number) {
  const memory = createMemoryStore();
  const locks = new Map<string, Date>();
  const store: ObjectStore = Object.assign(Object.create(memory) as ObjectStore, {
    lockDays: days,
    retain: async (name: string, until: Date) => void locks.set(name, until),
  });
  for (const method of ['putNew', 'startNew', 'getRange', 'stat', 'list', 'delete'] as const) {
    Object.assign(store, { [method]: memory[method].bind(memory) });
  }
  return { store, memory, locks };
}

test('a collection extends the locks of all that restore points need, and of nothing that is dead', async () => {
  const { store, memory, locks } = lockingStore(30);
  const parts = partsFor(store);
  const repository = await Repository.open(parts);
  const dropped = await fullBackup(repository, await thinDisk(1), 'vm-gone');
  const dead = (await Array.fromAsync(memory.list('packs/'))).map(({ name }) => name);
  await fullBackup(repository, await thinDisk(2), 'vm-kept');
  await dropPoint(memory, dropped);
  const before = Date.now();
  await repository.collect();
  for (const name of dead) assert.ok(!locks.has(name), 'a dead pack is not locked anew');
  assert.ok(locks.size > 1);
  // Once the dead are deleted, and what was mostly dead is copied, everything there is needed.
  for (let run = 0; run < 3; run += 1) {
    locks.clear();
    await repository.collect();
  }
  const all = (await Array.fromAsync(memory.list(''))).map(({ name }) => name);
  assert.deepEqual(
    [...locks.keys()].filter((name) => name !== 'hvlift.json').sort(),
    all.filter((name) => /^(packs|points|keys)/.test(name)),
  );
  assert.ok(locks.has('hvlift.json'));
  for (const until of locks.values()) {
    const days = (until.getTime() - before) / DAY_MS;
    assert.ok(days >= 15 && days < 15.1, 'half of the days of a new lock');
  }
});

test('a look without changes extends nothing, and a store without locks is not asked', async () => {
  const { store, locks } = lockingStore(30);
  const repository = await Repository.open(partsFor(store));
  await fullBackup(repository, await thinDisk(1));
  await repository.collect({ dryRun: true });
  assert.equal(locks.size, 0);
  const plain = await Repository.open(partsFor(createMemoryStore()));
  await fullBackup(plain, await thinDisk(1));
  await plain.collect();
});
