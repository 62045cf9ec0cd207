/**
 * Every class of file and of object × every place in it × every way to damage it: found by verification, no wrong bytes, the loss no
 * larger than the table of docs/formats/repository.md says, and a repair never makes it worse.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFault, MiB } from '../base/index.ts';
import type { Extent } from '../extents/index.ts';
import type { MemoryStore } from '../objectstore/index.ts';
import {
  bytesOf,
  copyOf,
  damageWorld,
  flip,
  namesIn,
  packReader,
  restorable,
  slotsOf,
  type World,
} from './damage.fixture.ts';
import { hexOf, kindOf, packName, type ObjectKind } from './format.ts';
import { HEADER_BYTES } from './object.ts';
import type { ListedObject } from './pack-reader.ts';
import type { Repository } from './repository.ts';

/** Another file of the same class, where there is one, and one of another class. */
interface Others {
  readonly same: string | undefined;
  readonly foreign: string;
}

type Damage = (store: MemoryStore, name: string, others: Others) => Promise<void>;

const at =
  (place: (size: number) => number): Damage =>
  async (store, name) => {
    const { size } = (await store.stat(name))!;
    flip(store, name, Math.min(Math.max(0, place(size)), size - 1));
  };

async function exchange(store: MemoryStore, name: string, other: string): Promise<void> {
  const bytes = await bytesOf(store, other);
  store.damage(name, () => bytes);
}

const WAYS: Readonly<Record<string, Damage>> = {
  'the first byte flipped': at(() => 0),
  'a byte of the body flipped': at((size) => Math.floor(size / 2)),
  'a byte of the trailer flipped': at((size) => size - 70),
  'the last byte flipped': at((size) => size - 1),
  'cut in half': async (store, name) => store.damage(name, (bytes) => bytes.slice(0, bytes.length / 2)),
  emptied: async (store, name) => store.damage(name, () => new Uint8Array(0)),
  'longer by a byte': async (store, name) =>
    store.damage(name, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])),
  removed: async (store, name) => store.delete(name),
  'exchanged for another of its class': (store, name, { same }) => exchange(store, name, same!),
  'exchanged for one of another class': (store, name, { foreign }) => exchange(store, name, foreign),
};

/** Of the slots of all points: how many a single file of the class may cost at most. */
const LOSS_MAX: Readonly<Record<string, number>> = {
  'hvlift.json': Infinity,
  // Another slot opens the repository.
  'keys/': 0,
  // Two points share packs of the first; the index holds all.
  'packs/': 6,
  'index/': Infinity,
  'points/': 3,
  'baselines/': 0,
  'journal/': 0,
  'pins/': 0,
  'epoch/': 0,
  'quarantine/': 0,
  'verified/': 0,
  'about/': 0,
};

/** Files that no other names: that one is missing shows nowhere. Of a sealed record bytes behind its end are not read. */
const RECORDS = ['points/', 'baselines/', 'journal/', 'pins/', 'epoch/', 'quarantine/', 'verified/'];
const UNSEEN = new Set([
  'keys/: removed',
  ...RECORDS.flatMap((area) => [`${area}: removed`, `${area}: longer by a byte`]),
]);

interface Target {
  readonly title: string;
  readonly most: number;
  readonly name: string;
  readonly others: Others;
}

/** One file of each class, where it matters one of the first backup; of packs one of each type. */
async function targetsOf(world: World): Promise<Target[]> {
  const files = await namesIn(world.store);
  const of = (area: string): string | undefined =>
    [...world.firstFiles, ...files].find((name) => name.startsWith(area));
  const chosen = new Map(Object.keys(LOSS_MAX).map((area) => [area, of(area)]));
  chosen.delete('packs/');
  for (const [type, name] of await packsByType(world)) chosen.set(`packs/ of ${type}`, name);
  // The slot of the passphrase: the tests open the repository by the recovery key.
  for (const name of files.filter((each) => each.startsWith('keys/')))
    if (Buffer.from(await bytesOf(world.store, name)).includes('"passphrase"')) chosen.set('keys/', name);
  return [...chosen].map(([title, name]) => {
    assert.ok(name !== undefined, `the repository has no file of ${title}`);
    const area = `${name.split('/')[0]!}/`;
    const same = files.find((each) => each.startsWith(area) && each !== name);
    const foreign = files.find((each) => !each.startsWith(area) && each !== name)!;
    const most = LOSS_MAX[title] ?? LOSS_MAX['packs/']!;
    return { title, most, name, others: { foreign, same } };
  });
}

/** Undefined where its header says that it cannot be opened. */
async function opened(world: World): Promise<Repository | undefined> {
  try {
    return await world.open();
  } catch (error) {
    assert.ok(isFault(error) && error.code.startsWith('REPO_'), String(error));
    return undefined;
  }
}

/** What a repair says of the pages about the repository. */
async function isOutdated(repository: Repository): Promise<boolean> {
  return (await repository.outdatedAbout(false)).length > 0;
}

async function packsByType(world: World): Promise<[string, string][]> {
  const reader = packReader(world, await world.open());
  const files = (await Array.fromAsync(world.store.list('packs/'))).filter(({ name }) =>
    world.firstFiles.includes(name),
  );
  const listed = await Promise.all(files.map((file) => reader.list(file)));
  return listed.map(({ pack }) => [pack.type, packName(pack.packId)]);
}

for (const encrypted of [true, false]) {
  test(`${encrypted ? 'encrypted' : 'plain'}: each way of damage to each class of files is found, costs what it may, and repair never makes it worse`, async (t) => {
    const world = await damageWorld(encrypted);
    assert.equal((await restorable(world)).size, world.slots);
    let cases = 0;
    for (const { title: area, most, name, others } of await targetsOf(world)) {
      // What a seal changes is how objects are opened: without one, packs and points show it.
      if (!encrypted && !/^(packs|points)/.test(area)) continue;
      for (const [way, damage] of Object.entries(WAYS)) {
        if (way.endsWith('of its class') && others.same === undefined) continue;
        const made = await copyOf(world);
        await damage(made.store, name, others);
        const title = `${area}: ${way}`;
        const before = await restorable(made);
        assert.ok(world.slots - before.size <= most, `${title}: ${world.slots - before.size} lost`);
        cases += 1;
        const repository = await opened(made);
        if (!repository) continue;
        const found = await repository.verify({ workers: 0 });
        const isFound = !found.ok || (await isOutdated(repository));
        assert.equal(isFound, !UNSEEN.has(title), `${title} is ${isFound ? '' : 'not '}found`);
        await (await made.open()).rebuildIndex({ dryRun: true });
        await (await made.open()).rebuildIndex();
        const after = await restorable(made);
        for (const slot of before) assert.ok(after.has(slot), `${title}: the repair lost ${slot}`);
        if (area === 'index/') assert.equal(after.size, world.slots, title);
      }
    }
    t.diagnostic(`${cases} cases`);
  });
}

type ObjectDamage = (store: MemoryStore, name: string, object: ListedObject, other: Uint8Array) => void;

const flipAt =
  (place: (object: ListedObject) => number): ObjectDamage =>
  (store, name, object) =>
    flip(store, name, object.offset + place(object));

const OBJECT_WAYS: Readonly<Record<string, ObjectDamage>> = {
  'a byte of its header flipped': flipAt(() => 30),
  'a byte of its content flipped': flipAt(({ storedLength }) => HEADER_BYTES + Math.floor(storedLength / 2)),
  'its last byte flipped': flipAt(({ storedLength }) => HEADER_BYTES + storedLength - 1),
  'exchanged for another object': (store, name, { offset, storedLength }, other) =>
    store.damage(name, (bytes) => {
      const changed = Buffer.from(bytes);
      changed.set(other.subarray(0, HEADER_BYTES + storedLength), offset);
      return changed;
    }),
  'cut through': (store, name, { offset }) =>
    store.damage(name, (bytes) => bytes.slice(0, offset + HEADER_BYTES + 1)),
  'cut away': (store, name, { offset }) => store.damage(name, (bytes) => bytes.slice(0, offset)),
};

test('each way of damage to each kind of object is found by its id, and what cannot be had is what the report names', async (t) => {
  const world = await damageWorld(true);
  const reader = packReader(world, await world.open());
  const objects = new Map<ObjectKind, { readonly name: string; readonly object: ListedObject }>();
  for await (const file of world.store.list('packs/'))
    if (world.firstFiles.includes(file.name))
      for (const object of (await reader.list(file)).places)
        objects.set(kindOf(object.kind)!, { name: file.name, object });
  assert.deepEqual([...objects.keys()].toSorted(), ['blob', 'data', 'leaf', 'node']);
  let cases = 0;
  for (const [kind, { name, object }] of objects) {
    const [, foreign] = [...objects].find(([each]) => each !== kind)!;
    const other = await world.store.getRange(
      foreign.name,
      foreign.object.offset,
      HEADER_BYTES + foreign.object.storedLength,
    );
    for (const [way, damage] of Object.entries(OBJECT_WAYS)) {
      const made = await copyOf(world);
      damage(made.store, name, object, other);
      const had = await restorable(made);
      const { problems } = await (await made.open()).verify({ workers: 0 });
      const title = `${kind}: ${way}`;
      const found = problems.find(({ objectId }) => objectId === hexOf(object.id));
      assert.ok(found, `${title}: it is not named`);
      // What lies below a page that was cut off with it is named with that page.
      const names = kind === 'blob' ? found.settingsOf : problems.flatMap(({ affected }) => affected);
      assert.ok(
        names.some(({ pointId }) => pointId === made.points[0]!.id),
        `${title}: no point is named`,
      );
      for (const { point, slot, id } of slotsOf(made)) {
        const ranges = problems.flatMap(({ affected }) => affected.filter(({ pointId }) => pointId === id));
        const isNamed = ranges.some((disk) => disk.ranges.some((range) => holds(range, slot * MiB)));
        assert.equal(had.has(`${point}/${slot}`), !isNamed, `${title}: slot ${slot} of point ${point}`);
      }
      cases += 1;
    }
  }
  t.diagnostic(`${cases} cases`);
});

function holds({ offset, length }: Extent, at: number): boolean {
  return offset <= at && at < offset + length;
}
