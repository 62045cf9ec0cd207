/**
 * Backups, pruning and the collector cut at every change of the store: each restore point that is there restores exactly, the
 * next backup builds on nothing that is gone, and the collector brings the rest back.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemoryDisk } from '../disk/index.ts';
import type { MemoryStore } from '../objectstore/index.ts';
import { CELL_BYTES } from './format.ts';
import { MutationLog, storeOf, type StoreState } from './mutation-log.fixture.ts';
import type { RestorePoint } from './point.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { backUp, contentOf, diskWith, draftOf, ingest, partsFor, sampleBytes } from './repository.fixture.ts';

const DISK_BYTES = 4 * CELL_BYTES;
/** Of the states of a scene that are looked at: all of them take minutes where there are many points. */
const EVERY = { all: 1, third: 3, few: 30 };

/** A repository, and what each of its points must give. */
class Play {
  readonly log = new MutationLog();
  readonly parts: RepositoryParts = partsFor(this.log.store, false);
  readonly contents = new Map<string, Buffer>();
  readonly #newest = new Map<string, { disk: MemoryDisk; point: RestorePoint }>();

  open(): Promise<Repository> {
    return Repository.open(this.parts);
  }

  async full(vm: string, seed: number, repository?: Repository): Promise<RestorePoint> {
    const disk = await diskOf(seed);
    const { point } = await backUp(
      repository ?? (await this.open()),
      { reader: disk, extents: disk.allocated() },
      vm,
    );
    return this.#note(vm, disk, point);
  }

  async increment(vm: string, cell: number, seed: number, repository?: Repository): Promise<RestorePoint> {
    const { disk, point: base } = this.#newest.get(vm)!;
    const extent = { offset: cell * CELL_BYTES, length: CELL_BYTES };
    await disk.write(extent.offset, sampleBytes(CELL_BYTES, seed));
    const part = { reader: disk, extents: [extent], base: base.disks[0]!.root };
    const opened = repository ?? (await this.open());
    await using _lease = await opened.lockVm(vm);
    return await this.#note(vm, disk, (await backUp(opened, part, vm)).point);
  }

  async drop(point: RestorePoint): Promise<void> {
    const repository = await this.open();
    await using _pruning = await repository.lockPruning();
    await using _lease = await repository.lockVm(point.vm.id);
    await repository.dropPoint(point);
  }

  async collect(runs = 1): Promise<void> {
    const repository = await this.open();
    for (let run = 0; run < runs; run += 1) await repository.collect();
  }

  async #note(vm: string, disk: MemoryDisk, point: RestorePoint): Promise<RestorePoint> {
    this.contents.set(point.id, await contentOf(disk));
    this.#newest.set(vm, { disk, point });
    return point;
  }
}

function diskOf(seed: number): Promise<MemoryDisk> {
  return diskWith(
    DISK_BYTES,
    [0, 1, 2, 3].map((cell) => [cell * CELL_BYTES, sampleBytes(CELL_BYTES, seed * 4 + cell)] as const),
  );
}

/** Content that only dropped points had, which a backup may take for stored when the index or an epoch lies. */
const DROPPED_SEEDS = [1, 2];

async function checkState({ parts, contents }: Play, state: StoreState): Promise<void> {
  const store = await storeOf(state);
  const repository = await Repository.open({ ...parts, store });
  await checkPoints(repository, contents, state.label);
  const again = new Map(contents);
  for (const seed of DROPPED_SEEDS) {
    const disk = await diskOf(seed);
    const { point } = await backUp(repository, { reader: disk, extents: disk.allocated() }, `again-${seed}`);
    again.set(point.id, await contentOf(disk));
  }
  await checkPoints(repository, again, `${state.label}, after the next backup`);
  await collectToRest(repository, store, state.label);
  await checkPoints(await Repository.open({ ...parts, store }), again, `${state.label}, collected`);
}

async function checkPoints(
  repository: Repository,
  contents: ReadonlyMap<string, Buffer>,
  label: string,
): Promise<void> {
  for await (const point of repository.points()) {
    const { root, size } = point.disks[0]!;
    const expected = contents.get(point.id);
    assert.ok(expected, `${label}: no point of which nothing is known`);
    assert.ok((await contentOf(repository.openDisk(root, size))).equals(expected), `${label}: ${point.id}`);
    await repository.readBlob(point.vm.configuration);
  }
}

/** Until nothing more happens: then every pack is needed, no segment is replaced and no session is left. */
async function collectToRest(repository: Repository, store: MemoryStore, label: string): Promise<void> {
  for (let run = 0; ; run += 1) {
    assert.ok(run < 8, `${label}: the collector comes to rest`);
    const { condemned, deleted, revived, rewritten, alive } = await repository.collect();
    if ([condemned, deleted, revived, rewritten].some(({ packs }) => packs > 0)) continue;
    const left = async (prefix: string) => (await Array.fromAsync(store.list(prefix))).length;
    assert.equal(await left('packs/'), alive.packs, label);
    assert.equal(await left('sessions/'), 0, label);
    assert.ok((await left('epoch/')) <= 2, label);
    return;
  }
}

/** What is cut: each makes garbage of every sort in its own order. */
const SCENES: Record<string, (play: Play) => Promise<void>> = {
  async 'points dropped, collected to the end'(play) {
    const [first, second] = [await play.full('a', 1), await play.increment('a', 0, 100)];
    await play.full('b', 2);
    const kept = await play.increment('b', 1, 101);
    await play.increment('b', 2, 102);
    await play.increment('a', 3, 103);
    play.log.begin();
    await play.drop(first);
    await play.drop(second);
    await play.drop(kept);
    await play.collect(4);
  },
  async 'backups between the runs of the collector'(play) {
    const first = await play.full('a', 1);
    await play.increment('a', 0, 100);
    play.log.begin();
    await play.drop(first);
    await play.collect();
    await play.full('b', 1); // what was condemned just now
    await play.collect();
    await play.increment('a', 1, 104);
    await play.collect(2);
  },
  async 'a backup that lasts over two runs and uses what they find dead'(play) {
    const first = await play.full('a', 1);
    await play.full('b', 2);
    play.log.begin();
    const repository = await play.open();
    await using session = await repository.startSession({ workers: 0 });
    const disk = await diskOf(1);
    await play.drop(first);
    await play.collect();
    const { root } = await ingest(session, { reader: disk, extents: disk.allocated() });
    await play.collect();
    const point = await session.commit(await draftOf(session, [{ root, size: disk.size }], 'c'));
    play.contents.set(point.id, await contentOf(disk));
    await play.collect(2);
  },
  async 'many small segments, merged and collected'(play) {
    const points: RestorePoint[] = [await play.full('a', 1)];
    for (let i = 0; i < 26; i += 1) points.push(await play.increment('a', i % 4, 200 + i));
    play.log.begin();
    points.push(await play.increment('a', 1, 300));
    for (const point of points.slice(0, 24)) await play.drop(point);
    await play.collect(3);
  },
};

for (const [name, scene] of Object.entries(SCENES)) {
  test(`cut anywhere: ${name}`, { timeout: 60_000 }, async (t) => {
    const play = new Play();
    await scene(play);
    const isLarge = play.contents.size > 10;
    const cuts = [...play.log.states()];
    const heldBack = [...play.log.heldBack(/^(index|packs|sessions|epoch|locks)\//)];
    const chosen = [
      ...cuts.filter((_, index) => index % (isLarge ? EVERY.few : EVERY.all) === 0),
      ...heldBack.filter((_, index) => index % (isLarge ? EVERY.few : EVERY.third) === 0),
    ];
    for (const state of chosen) await checkState(play, state);
    t.diagnostic(`${chosen.length} of ${cuts.length + heldBack.length} states looked at`);
    assert.ok(chosen.length > 20);
  });
}
