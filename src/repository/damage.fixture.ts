/** A repository with a file of every class, and what can be had of it after it was damaged. */
import assert from 'node:assert/strict';
import { isFault, MiB } from '../base/index.ts';
import { createMemoryStore, type MemoryStore } from '../objectstore/index.ts';
import { CELL_BYTES } from './format.ts';
import { createRepository, openRepository } from './open-repository.ts';
import { PackReader } from './pack-reader.ts';
import type { RestorePoint } from './point.ts';
import type { Repository } from './repository.ts';
import { backUp, diskWith, sampleBytes, VM_ID } from './repository.fixture.ts';

/** Above 256 slots, so that the map has a node over its leaves. */
export const SIZE = 300 * MiB;
/** The slots of each disk that hold something, in both leaves; and how much of each, at its beginning. */
const USED = [0, 1, 280] as const;
const USED_BYTES = 2 * CELL_BYTES;
export const OTHER_VM = '11111111-2222-4333-8444-555555555555';

export interface World {
  readonly store: MemoryStore;
  readonly open: (store?: MemoryStore) => Promise<Repository>;
  readonly points: readonly RestorePoint[];
  readonly contents: readonly Buffer[];
  /** Of all points: how many can be had of a whole repository. */
  readonly slots: number;
  /** Files that the first backup made. */
  readonly firstFiles: readonly string[];
}

/** Two points of one VM, one of another; baselines, notes, pins, an epoch, and what was verified and quarantined. */
export async function damageWorld(encrypted: boolean): Promise<World> {
  const store = createMemoryStore();
  const encryption = encrypted ? { passphrase: 'slow' } : 'none';
  const { repository, recoveryKey } = await createRepository(store, { encryption });
  const open = (from = store): Promise<Repository> =>
    openRepository(from, recoveryKey === undefined ? {} : { recoveryKey });
  const disk = await usedDisk(1);
  const before = new Set(await namesIn(store));
  const first = await backUp(repository, { reader: disk, extents: disk.allocated() });
  const firstFiles = (await namesIn(store)).filter((name) => !before.has(name));
  const contents = [await usedContent(disk)];
  await disk.write(CELL_BYTES, sampleBytes(CELL_BYTES, 2));
  const extents = [{ offset: CELL_BYTES, length: CELL_BYTES }];
  const second = await backUp(repository, { reader: disk, extents, base: first.root });
  contents.push(await usedContent(disk));
  const other = await usedDisk(3);
  const third = await backUp(repository, { reader: other, extents: other.allocated() }, OTHER_VM);
  contents.push(await usedContent(other));
  const common = { referencePointId: 'r', consistency: 'crash', disks: [] } as const;
  for (const { point } of [first, second]) {
    await repository.recordBaseline({ ...common, pointId: point.id, vmId: VM_ID });
    await repository.pin(point, 'held');
  }
  for (const key of ['run1-freezing', 'run2-freezing'])
    await repository.journal.record(VM_ID, { key, value: { step: 'freezing' } });
  await leaveTraces(repository, store);
  const points = [first.point, second.point, third.point];
  return { store, open, contents, points, slots: points.length * USED.length, firstFiles };
}

/** Two epochs; a quarantine that has been emptied. */
async function leaveTraces(repository: Repository, store: MemoryStore): Promise<void> {
  const before = new Set(await namesIn(store));
  const gone = await diskWith(MiB, [[0, sampleBytes(USED_BYTES, 9)]]);
  const { point } = await backUp(repository, { reader: gone, extents: gone.allocated() }, 'vm-gone');
  const pack = (await namesIn(store)).find((name) => name.startsWith('packs/') && !before.has(name))!;
  for (let time = 0; time < 2; time += 1) {
    flip(store, pack, 200);
    await repository.verify({ workers: 0 });
  }
  await repository.dropPoint(point);
  for (let run = 0; run < 2; run += 1) await repository.collect();
}

export async function namesIn(store: MemoryStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(''))).map(({ name }) => name);
}

/** The same in a store of its own. */
export async function copyOf(world: World): Promise<World> {
  const store = createMemoryStore();
  for await (const { name, size } of world.store.list(''))
    await store.putNew(name, await world.store.getRange(name, 0, size));
  return { ...world, store, open: () => world.open(store) };
}

export async function bytesOf(store: MemoryStore, name: string): Promise<Uint8Array> {
  return store.getRange(name, 0, (await store.stat(name))!.size);
}

export function packReader({ store }: World, { id }: Repository): PackReader {
  return new PackReader(store, Buffer.from(id, 'hex'));
}

export function flip(store: MemoryStore, name: string, at: number): void {
  store.damage(name, (bytes) => bytes.with(at, bytes[at]! ^ 0x41));
}

/** What can be had: `point/slot` of every slot that reads right. Wrong bytes fail the test. */
export async function restorable({ open, contents, points }: World): Promise<Set<string>> {
  const had = new Set<string>();
  const repository = await corruptIsNothing(open());
  if (!repository) return had;
  const listed = new Set<string>();
  await corruptIsNothing(
    (async () => {
      for await (const { id } of repository.points()) listed.add(id);
    })(),
  );
  for (const [index, point] of points.entries()) {
    if (!listed.has(point.id)) continue;
    const disk = repository.openDisk(point.disks[0]!.root, SIZE);
    for (const [nth, slot] of USED.entries()) {
      const bytes = Buffer.alloc(USED_BYTES);
      const read = await corruptIsNothing(disk.read(slot * MiB, bytes).then(() => true));
      if (!read) continue;
      const expected = contents[index]!.subarray(nth * USED_BYTES, (nth + 1) * USED_BYTES);
      assert.ok(bytes.equals(expected), 'wrong bytes were returned');
      had.add(`${index}/${slot}`);
    }
  }
  return had;
}

/** Every slot that holds something, by the point and its place in the list of points. */
export function slotsOf({ points }: World): { point: number; id: string; slot: number }[] {
  return points.flatMap(({ id }, point) => USED.map((slot) => ({ point, id, slot })));
}

async function corruptIsNothing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    assert.ok(isFault(error) && (error.kind === 'corrupt' || error.code.startsWith('REPO_')), String(error));
    return undefined;
  }
}

function usedDisk(seed: number) {
  return diskWith(
    SIZE,
    USED.map((slot) => [slot * MiB, sampleBytes(USED_BYTES, seed * 10 + slot)] as const),
  );
}

async function usedContent(disk: Awaited<ReturnType<typeof usedDisk>>): Promise<Buffer> {
  const bytes = Buffer.alloc(USED.length * USED_BYTES);
  for (const [nth, slot] of USED.entries())
    await disk.read(slot * MiB, bytes.subarray(nth * USED_BYTES, (nth + 1) * USED_BYTES));
  return bytes;
}
