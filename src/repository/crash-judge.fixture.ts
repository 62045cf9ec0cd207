/**
 * Is a repository that a power cut left as it must be?
 *
 *   every point restores exactly ─► the next backups, which may take for stored what is not ─► every point again
 *        ─► the collector, until nothing more happens: every pack is needed, nobody is registered ─► every point again
 *
 * That nothing which was committed is missing is asked before, of every state: see `brokenPromise` in power-cut.fixture.ts.
 */
import assert from 'node:assert/strict';
import { openDirectoryStore, type ObjectStore } from '../objectstore/index.ts';
import type { PowerCut } from '../objectstore/power-cut.fixture.ts';
import { ROOT_PATH, VolatileFiles } from '../objectstore/volatile-files.fixture.ts';
import { CELL_BYTES } from './format.ts';
import { openKeyring } from './open-repository.ts';
import type { RestorePoint } from './point.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { backUp } from './repository.fixture.ts';
import { cellOf, diskOf, fill, used, type Play } from './crash-play.fixture.ts';

/** Looks at one state; throws what is wrong with it. */
export type Judge = (play: Play, cut: PowerCut) => Promise<void>;

export async function storeAfter({ files }: Pick<PowerCut, 'files'>): Promise<ObjectStore> {
  return openDirectoryStore(ROOT_PATH, { files: new VolatileFiles({ files }) });
}

/** `dropped`: seeds of content that only dropped points had, which a backup may take for stored when index or epoch lie. */
export function judgeWith(dropped: readonly number[]): Judge {
  return async ({ parts, contents }, cut) => {
    await judgeStore({ ...parts, store: await storeAfter(cut) }, contents, dropped);
  };
}

async function judgeStore(
  parts: RepositoryParts,
  contents: ReadonlyMap<string, Buffer>,
  dropped: readonly number[],
): Promise<void> {
  const repository = await Repository.open(parts);
  await checkPoints(repository, contents);
  const known = new Map(contents);
  await nextRuns(repository, known, dropped);
  await collectToRest(repository, parts.store);
  await checkPoints(await Repository.open(parts), known);
}

/** What was damaged before the cut may be lost to old points, until a verification and the same content have come by. */
export function judgeHealing(seeds: readonly number[]): Judge {
  return async ({ parts, contents }, cut) => {
    const store = await storeAfter(cut);
    const opened = { ...parts, store };
    await (await Repository.open(opened)).verify({ workers: 0 });
    const known = new Map(contents);
    await nextRuns(await Repository.open(opened), known, seeds);
    const { problems } = await (await Repository.open(opened)).verify({ workers: 0 });
    assert.deepEqual(problems, []);
    const repository = await Repository.open(opened);
    await collectToRest(repository, store);
    await checkPoints(repository, known);
  };
}

/** An index that is damaged, or lacks packs, until it is made anew. */
export async function judgeRepair({ parts, contents }: Play, cut: PowerCut): Promise<void> {
  const opened = { ...parts, store: await storeAfter(cut) };
  const repository = await Repository.open(opened);
  await repository.rebuildIndex();
  await repository.outdatedAbout(true);
  assert.deepEqual((await repository.rebuildIndex({ dryRun: true })).damagedSegments, 0);
  assert.deepEqual(await repository.outdatedAbout(false), []);
  await judgeStore(opened, contents, [1]);
}

/** Every slot that is there opens for whoever was told its secret, and there is one. */
export async function judgeKeys({ keys }: Play, cut: PowerCut): Promise<void> {
  const store = await storeAfter(cut);
  let opened = 0;
  for (const [slot, recoveryKey] of keys) {
    if (!cut.files.has(`keys/${slot}`)) continue;
    const keyring = await openKeyring(store, { recoveryKey });
    assert.equal(keyring.opened, slot);
    for (const { problem } of await keyring.list()) assert.equal(problem, undefined);
    opened += 1;
  }
  assert.ok(opened > 0, 'somebody can open it');
}

/** Every point that is there gives what was read for it, and nothing is there that nobody committed. */
export async function checkPoints(
  repository: Repository,
  contents: ReadonlyMap<string, Buffer>,
): Promise<void> {
  for await (const point of repository.points()) {
    const { root, size } = point.disks[0]!;
    const expected = contents.get(point.id);
    assert.ok(expected, `nothing is known of point ${point.id}`);
    const found = await used(repository.openDisk(root, size));
    assert.ok(found.equals(expected), `point ${point.id} gives what was read for it`);
    await repository.readBlob(point.vm.configuration);
  }
}

async function nextRuns(
  repository: Repository,
  known: Map<string, Buffer>,
  dropped: readonly number[],
): Promise<void> {
  const newest = await newestPoint(repository);
  for (const seed of dropped) {
    const disk = await diskOf(seed);
    const { point } = await backUp(repository, { reader: disk, extents: disk.allocated() }, `again-${seed}`);
    known.set(point.id, await used(disk));
  }
  if (newest) await nextIncrement(repository, known, newest);
}

/** The backups before it may fail where a lock of a VM stands; this one takes the lock over, as the next run does. */
async function nextIncrement(
  repository: Repository,
  known: Map<string, Buffer>,
  base: RestorePoint,
): Promise<void> {
  await using _lease = await repository.lockVm(base.vm.id);
  const disk = await diskOf(0);
  await fill(disk, known.get(base.id)!);
  await disk.write(CELL_BYTES, cellOf(999));
  const extents = [{ offset: CELL_BYTES, length: CELL_BYTES }];
  const part = { reader: disk, extents, base: base.disks[0]!.root };
  const { point } = await backUp(repository, part, base.vm.id);
  known.set(point.id, await used(disk));
}

async function newestPoint(repository: Repository): Promise<RestorePoint | undefined> {
  for await (const point of repository.points()) return point;
  return undefined;
}

/** Until nothing more happens: then every pack is needed, no segment is replaced and no session is left. */
async function collectToRest(repository: Repository, store: ObjectStore): Promise<void> {
  for (let run = 0; ; run += 1) {
    assert.ok(run < 8, 'the collector comes to rest');
    const { condemned, deleted, revived, rewritten, alive } = await repository.collect();
    if ([condemned, deleted, revived, rewritten].some(({ packs }) => packs > 0)) continue;
    const left = async (prefix: string) => (await Array.fromAsync(store.list(prefix))).length;
    assert.equal(await left('packs/'), alive.packs, 'every pack that is left is needed');
    assert.equal(await left('sessions/'), 0, 'nobody is registered');
    assert.ok((await left('epoch/')) <= 2, 'old epochs are gone');
    return;
  }
}
