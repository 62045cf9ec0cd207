/** The catalogue saves reads and nothing else: whatever is done to it, what is shown is what the manifests say. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode, MiB } from '../base/index.ts';
import {
  StoppedError,
  createMemoryStore,
  faultyStore,
  stopAt,
  storeFaults,
  type MemoryStore,
  type ObjectStore,
} from '../objectstore/index.ts';
import { Catalogue } from './catalogue.ts';
import { ObjectCodec } from './object.ts';
import type { PointName, RestorePoint } from './point.ts';
import { Points } from './points.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { SealedRecords } from './sealed-record.ts';
import { partsFor, VM_ID } from './repository.fixture.ts';

/** A point that stands in no store: only what the catalogue looks at. */
interface Known {
  readonly name: PointName;
  readonly point: RestorePoint;
}

function known(number: number, size = 1000, padding = 0): Known {
  const id = number.toString(16).padStart(16, '0');
  const [folder, stamp] = ['00112233445566aa', '20261123t093824.123z'];
  const point = { id, vm: { name: 'Büro\n1' }, padding: 'x'.repeat(padding) } as unknown as RestorePoint;
  return { name: { name: `points/${folder}/${stamp}-${id}`, folder, stamp, id, size }, point };
}

function knownUpTo(count: number, from = 0): Known[] {
  return Array.from({ length: count }, (_, index) => known(from + index));
}

const { keys } = partsFor();

/** Lists as {@link Points} does. What is shown is right, or the test fails; returned are the points that had to be read. */
async function list(store: ObjectStore, points: readonly Known[]): Promise<number> {
  const records = new SealedRecords(store, new ObjectCodec(keys));
  const catalogue = await Catalogue.load({ store, records, now: () => new Date() });
  let read = 0;
  for (const { name, point } of points) {
    const found = catalogue.find(name);
    if (found) assert.deepEqual(found, point);
    else {
      read += 1;
      catalogue.note(name, point);
    }
  }
  await catalogue.save();
  return read;
}

async function files(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(store.list('catalogue/'))).map(({ name }) => name);
}

test('what was read once is not read again, and few new points are not worth a file', async () => {
  const store = createMemoryStore();
  assert.equal(await list(store, knownUpTo(500)), 500);
  assert.equal(await list(store, knownUpTo(500)), 0);
  assert.equal(await list(store, knownUpTo(540)), 40);
  assert.equal(await list(store, knownUpTo(540)), 40);
  assert.equal((await files(store)).length, 1);
  assert.equal(await list(store, knownUpTo(600)), 100);
  assert.equal(await list(store, knownUpTo(600)), 0);
});

test('what the catalogue has of a point that is gone is not asked for; one whose file has another size is read', async () => {
  const store = createMemoryStore();
  await list(store, knownUpTo(300));
  const rest = knownUpTo(200, 100);
  assert.equal(await list(store, rest), 0);
  assert.equal(await list(store, [...rest.slice(1), known(100, 1001)]), 1);
});

const WAYS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  'the first byte flipped': (bytes) => bytes.with(0, bytes[0]! ^ 1),
  'a byte of the body flipped': (bytes) => bytes.with(300, bytes[300]! ^ 1),
  'the last byte flipped': (bytes) => bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1),
  'cut in half': (bytes) => bytes.slice(0, bytes.length / 2),
  emptied: () => new Uint8Array(0),
  'other bytes': (bytes) => randomBytes(bytes.length),
};

for (const [way, change] of Object.entries(WAYS)) {
  test(`a file of the catalogue, ${way}: costs the reads of its points once, and is replaced`, async () => {
    const store = createMemoryStore();
    await list(store, knownUpTo(300));
    await list(store, knownUpTo(400));
    const [damaged] = await files(store);
    store.damage(damaged!, change);
    const read = await list(store, knownUpTo(400));
    assert.ok(read === 100 || read === 300, `${read}`);
    assert.equal(await list(store, knownUpTo(400)), 0);
    assert.ok(!(await files(store)).includes(damaged!));
  });
}

test('an object of another kind or of another repository is not taken for a catalogue', async () => {
  const store = createMemoryStore();
  const line = `${known(1).name.name} 1000 {"id":"${known(1).name.id}","vm":{"name":"forged"}}\n`;
  const text = Buffer.from(`hvlift catalogue 1\n${line}`);
  const foreign = new SealedRecords(store, new ObjectCodec(partsFor().keys));
  await foreign.writeBytes('catalogue/20261123t093824.123z-0000000000000001', 'catalogue', text);
  const own = new SealedRecords(store, new ObjectCodec(keys));
  await own.writeBytes('catalogue/20261123t093824.123z-0000000000000002', 'manifest', text);
  assert.equal(await list(store, knownUpTo(100)), 100);
});

test('a file of another version is left to that version', async () => {
  const store = createMemoryStore();
  const name = 'catalogue/20261123t093824.123z-0000000000000001';
  const records = new SealedRecords(store, new ObjectCodec(keys));
  await records.writeBytes(name, 'catalogue', Buffer.from('hvlift catalogue 2\nwhatever'));
  for (let night = 1; night < 30; night += 1) await list(store, knownUpTo(100 * night));
  assert.ok((await files(store)).includes(name));
});

test('files stay few, and lines of points that are gone do not pile up', async () => {
  const store = createMemoryStore();
  for (let night = 0; night < 60; night += 1) await list(store, knownUpTo(1000, 70 * night));
  assert.ok((await files(store)).length <= 14, `${(await files(store)).length} files`);
  let bytes = 0;
  for await (const { size } of store.list('catalogue/')) bytes += size;
  const fresh = createMemoryStore();
  await list(fresh, knownUpTo(1000));
  const [all] = await Array.fromAsync(fresh.list('catalogue/'));
  assert.ok(bytes < 4 * all!.size, `${bytes} bytes instead of ${all!.size}`);
});

test('what is in memory is bounded: of more than the bound, the rest is read from the manifests each time', async () => {
  const store = createMemoryStore();
  const large = Array.from({ length: 90 }, (_, number) => known(number, 1000, MiB));
  assert.equal(await list(store, large), 90);
  const read = await list(store, large);
  assert.ok(read > 10 && read < 40, `${read} of 90 read`);
  const before = await files(store);
  assert.equal(await list(store, large), read);
  assert.deepEqual(await files(store), before, 'nothing is written in vain');
});

test('several who list at once show what is there; afterwards one file has it all, or a few', async () => {
  const store = createMemoryStore();
  for (let night = 1; night <= 20; night += 1) {
    const points = knownUpTo(80 * night);
    await Promise.all([1, 2, 3].map(() => list(store, points)));
  }
  await list(store, knownUpTo(1600));
  assert.equal(await list(store, knownUpTo(1600)), 0);
  assert.ok((await files(store)).length <= 20, `${(await files(store)).length} files`);
});

test('who dies at any call, before or after it took effect, leaves a catalogue that shows what is there', async () => {
  const template = createMemoryStore();
  for (let night = 1; night <= 13; night += 1) await list(template, knownUpTo(70 * night));
  let deaths = 0;
  for (const when of ['before', 'after'] as const) {
    for (let step = 1, done = false; !done; step += 1) {
      const store = await copyOf(template);
      const points = knownUpTo(70 * 14, 30);
      const dying = faultyStore(store, stopAt(step, when));
      done = await list(dying, points).then(
        () => true,
        (error: unknown) => !(error instanceof StoppedError),
      );
      store.crash();
      await list(store, points);
      assert.equal(await list(store, points), 0);
      deaths += done ? 0 : 1;
    }
  }
  assert.ok(deaths > 40, `${deaths} deaths`);
});

async function copyOf(template: ObjectStore): Promise<MemoryStore> {
  const store = createMemoryStore();
  for await (const { name, size } of template.list(''))
    await store.putNew(name, await template.getRange(name, 0, size));
  return store;
}

test('who may not write, or not delete, sees everything, and does not fill the store', async () => {
  const denied = (methods: readonly string[], store: MemoryStore): ObjectStore =>
    faultyStore(store, {
      before: ({ method, name }) => {
        if (methods.includes(method)) throw refusal(name);
      },
    });
  const unwritable = createMemoryStore();
  assert.equal(await list(denied(['putNew', 'delete'], unwritable), knownUpTo(300)), 300);
  assert.deepEqual(await files(unwritable), []);
  const store = createMemoryStore();
  for (let night = 1; night <= 40; night += 1) await list(denied(['delete'], store), knownUpTo(70 * night));
  assert.ok((await files(store)).length <= 13, `${(await files(store)).length} files`);
});

test('any order of new points, dropped ones, damage and listings shows what is there', async () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: 200 }) }),
    fc.record({ drop: fc.integer({ min: 1, max: 200 }) }),
    fc.record({ damage: fc.nat() }),
    fc.record({ remove: fc.nat() }),
    fc.record({ list: fc.integer({ min: 1, max: 3 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const store = createMemoryStore();
      let [first, next] = [0, 300];
      for (const each of steps) {
        const present = await files(store);
        if ('add' in each) next += each.add;
        else if ('drop' in each) first = Math.min(next, first + each.drop);
        else if ('list' in each) {
          const points = knownUpTo(next - first, first);
          await Promise.all(Array.from({ length: each.list }, () => list(store, points)));
        } else if (present.length > 0 && 'damage' in each)
          store.damage(present[each.damage % present.length]!, (bytes) => bytes.with(150, bytes[150]! ^ 1));
        else if (present.length > 0 && 'remove' in each)
          await store.delete(present[each.remove % present.length]!);
      }
      const points = knownUpTo(next - first, first);
      await list(store, points);
      assert.ok((await list(store, points)) < 64);
    }),
    { numRuns: 40 },
  );
});

function refusal(name: string): Error {
  return storeFaults.accessDenied({ path: name, location: 'memory' });
}

/** A repository of many points, without sessions: only manifests. */
async function manyPoints(count: number): Promise<{ parts: RepositoryParts; store: MemoryStore }> {
  const store = createMemoryStore();
  const parts = partsFor(store);
  const records = new SealedRecords(store, new ObjectCodec(parts.keys));
  const points = new Points({ ...parts, records });
  for (let number = 0; number < count; number += 1) {
    const vm = {
      id: number % 4 > 0 ? VM_ID : `vm-${number % 40}`,
      name: 'web',
      host: 'H',
      configuration: '',
    };
    await points.commit({ runId: 'r', vm, consistency: { asked: 'crash', reached: 'crash' }, disks: [] }, {});
  }
  return { parts, store };
}

test('of many points, those shown are those there are, in their order, and their manifests are read once', async () => {
  const { parts, store } = await manyPoints(400);
  const all = await Array.fromAsync((await Repository.open(parts)).points());
  assert.equal(all.length, 400);
  const manifestReads = (): number =>
    store.calls('getRange').filter(({ name }) => name.startsWith('points/')).length;
  const shown = async (vmId?: string) => {
    const repository = await Repository.open(parts);
    const before = store.calls().length;
    const reads = manifestReads();
    const points = await Array.fromAsync(repository.shownPoints(vmId === undefined ? {} : { vmId }));
    return { points, reads: manifestReads() - reads, requests: store.calls().length - before };
  };
  assert.deepEqual((await shown()).points, all);
  const second = await shown();
  assert.deepEqual([second.points, second.reads, second.requests], [all, 0, 3]);
  const ofOne = await shown(VM_ID);
  assert.deepEqual(
    ofOne.points,
    all.filter(({ vm }) => vm.id === VM_ID),
  );
  assert.equal(ofOne.reads, 0);
  const { name } = (await Array.fromAsync(store.list('points/')))[0]!;
  store.damage(name, (bytes) => bytes.slice(0, -1));
  const repository = await Repository.open(parts);
  const seen: string[] = [];
  await assert.rejects(
    async () => {
      for await (const { id } of repository.shownPoints()) seen.push(id);
    },
    (error) => hasCode(error, 'REPO_POINT_DAMAGED') && (error as Error).message.includes(name),
  );
  assert.equal(seen.length, 399);
});

test('what is restored is what the manifest says, whatever the catalogue remembers', async () => {
  const { parts, store } = await manyPoints(300);
  const repository = await Repository.open(parts);
  const [point] = await Array.fromAsync(repository.shownPoints());
  const file = (await Array.fromAsync(store.list('points/'))).find(({ name }) => name.endsWith(point!.id))!;
  store.damage(file.name, (bytes) => bytes.with(150, bytes[150]! ^ 1));
  assert.equal((await Array.fromAsync(repository.shownPoints())).length, 300);
  const damaged = (error: unknown): boolean => hasCode(error, 'REPO_POINT_DAMAGED');
  await assert.rejects(repository.point(point!.id), damaged);
  await assert.rejects(Array.fromAsync(repository.points()), damaged);
  const { problems } = await repository.verify({ workers: 0 });
  assert.ok(problems.some(({ fault }) => fault.message.includes(file.name)));
});

test('few points are read from their manifests, and nothing is written', async () => {
  const { parts, store } = await manyPoints(200);
  const repository = await Repository.open(parts);
  assert.equal((await Array.fromAsync(repository.shownPoints())).length, 200);
  assert.deepEqual(await files(store), []);
});
