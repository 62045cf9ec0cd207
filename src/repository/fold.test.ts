/** Slots that scattered increments have cut into pieces become whole again, as far as a budget allows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GiB, MiB } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { createImage } from '../images/index.ts';
import { createMemoryStore } from '../objectstore/index.ts';
import { randomFrom } from '../objectstore/seeded-random.fixture.ts';
import type { FoldBudget } from './fold.ts';
import { CELLS, CELL_BYTES } from './format.ts';
import type { IngestStats } from './ingest.ts';
import type { MapRoot } from './map-root.ts';
import { PackReader } from './pack-reader.ts';
import { Repository } from './repository.ts';
import { contentOf, draftOf, partsFor, restoredContent, temporaryFolder } from './repository.fixture.ts';

const SIZE = 8 * MiB + 3 * CELL_BYTES;
const INCREMENTS = 60;
const CELLS_CHANGED = 20;
const SEED = 7;

class Year {
  readonly disk = new MemoryDisk(SIZE);
  readonly store = createMemoryStore();
  readonly parts = partsFor(this.store, false);
  readonly sums = { changed: 0, stored: 0, folded: 0 };
  root!: MapRoot;
  #cells = 0;

  async full(): Promise<void> {
    for (let at = 0; at < SIZE; at += CELL_BYTES) await this.#change(at / CELL_BYTES);
    await this.back([{ offset: 0, length: SIZE }], 'off');
  }

  /** Single cells anywhere: the workload that cuts slots most. */
  async increment(random: () => number, fold: FoldBudget): Promise<IngestStats> {
    const cells = new Set<number>();
    while (cells.size < CELLS_CHANGED) cells.add(Math.floor(random() * (SIZE / CELL_BYTES)));
    const sorted = [...cells].toSorted((a, b) => a - b);
    for (const cell of sorted) await this.#change(cell);
    return this.back(
      sorted.map((cell) => ({ offset: cell * CELL_BYTES, length: CELL_BYTES })),
      fold,
    );
  }

  async oneCellOfEachSlot(): Promise<{ offset: number; length: number }[]> {
    const slots = Math.floor(SIZE / MiB);
    for (let slot = 0; slot < slots; slot += 1) await this.#change(slot * CELLS + 5);
    return Array.from({ length: slots }, (_, slot) => ({
      offset: slot * MiB + 5 * CELL_BYTES,
      length: CELL_BYTES,
    }));
  }

  async back(extents: { offset: number; length: number }[], fold: FoldBudget): Promise<IngestStats> {
    const repository = await Repository.open(this.parts);
    await using session = await repository.startSession({ workers: 0 });
    const base = this.root ? { base: this.root } : {};
    const request = { reader: this.disk, extents, size: SIZE, fold, ...base };
    const { root, stats } = await session.ingestDisk(request);
    await session.commit(await draftOf(session, [{ root, size: SIZE }]));
    if (this.root) {
      this.sums.changed += stats.changedBytes;
      this.sums.stored += stats.newRawBytes;
      this.sums.folded += stats.foldedSlots;
    }
    this.root = root;
    return stats;
  }

  async restoredExactly(): Promise<boolean> {
    const repository = await Repository.open(this.parts);
    return (await restoredContent(repository, this.root, SIZE)).equals(await contentOf(this.disk));
  }

  /** Objects that a restore asks the store for. */
  async readsOfRestore(): Promise<number> {
    const repository = await Repository.open(this.parts);
    const target = await createImage('raw', `${temporaryFolder()}/reads`, { size: SIZE });
    const { chunks } = await repository.restoreDisk({ root: this.root, size: SIZE, target, workers: 0 });
    await target.abort();
    return chunks;
  }

  async #change(cell: number): Promise<void> {
    this.#cells += 1;
    const length = Math.min(CELL_BYTES, SIZE - cell * CELL_BYTES);
    await this.disk.write(cell * CELL_BYTES, Buffer.alloc(length, `version ${this.#cells} `));
  }
}

async function yearWith(fold: FoldBudget, increments = INCREMENTS): Promise<Year> {
  const year = new Year();
  const random = randomFrom(SEED);
  await year.full();
  for (let n = 0; n < increments; n += 1) await year.increment(random, fold);
  assert.ok(await year.restoredExactly());
  return year;
}

test('after 60 scattered increments a restore asks for few pieces, for what the budget allows to be stored', async (t) => {
  const perGiB = (reads: number): number => Math.round((reads * GiB) / SIZE);
  const cut = await yearWith('off');
  const most = await cut.readsOfRestore();
  assert.equal(cut.sums.folded, 0);
  let before = most;
  for (const percent of [120, 300]) {
    const { sums, ...year } = await yearWith({ percent }).then(async (each) => ({
      sums: each.sums,
      reads: await each.readsOfRestore(),
    }));
    const ratio = sums.stored / sums.changed;
    t.diagnostic(
      `budget ${percent} %: ${perGiB(year.reads)} reads a GiB instead of ${perGiB(most)}, stored ${ratio.toFixed(2)} times what changed`,
    );
    assert.ok(ratio <= 1 + percent / 100, 'the budget holds');
    assert.ok(year.reads < before, 'more is folded for more');
    before = year.reads;
  }
  // Eight pieces a slot at most, where the budget does not end it; all of them together half as many.
  assert.ok(before <= ((SIZE / MiB) * CELLS) / 3, `${before} reads`);
});

test('a budget in bytes is that of each backup', async () => {
  const year = await yearWith('off', 20);
  const stats = await year.increment(randomFrom(8), { bytes: 2 * MiB });
  assert.ok(stats.foldedSlots === 2, `${stats.foldedSlots} slots`);
  assert.ok(stats.foldedBytes <= 2 * MiB);
  assert.ok(await year.restoredExactly());
});

test('a slot whose pieces cannot be read is not folded, and the backup goes on', async () => {
  const year = await yearWith('off', 20);
  const { store } = year;
  const packs = new PackReader(store, Buffer.from(year.parts.header.repositoryId, 'hex'));
  for await (const file of store.list('packs/')) {
    const { places } = await packs.list(file);
    for (const { offset, rawLength } of places)
      if (rawLength >= CELL_BYTES) store.damage(file.name, (bytes) => bytes.fill(0, offset, offset + 8));
  }
  const changed = await year.oneCellOfEachSlot();
  const stats = await year.back(changed, { percent: 1000 });
  assert.equal(stats.foldedSlots, 0);
  assert.equal(stats.newRawBytes, changed.length * CELL_BYTES);
});

/** The newest point of a year, folded. */
async function foldNewest(year: Year, bytesMax = Infinity) {
  const repository = await Repository.open(year.parts);
  const [point] = await Array.fromAsync(repository.points());
  const { root, size } = point!.disks[0]!;
  await using session = await repository.startSession({ workers: 0 });
  const reader = repository.openDisk(root, size);
  const made = await session.foldDisk({ root, size, reader, bytesMax });
  const disks = [{ ...point!.disks[0]!, root: made.root, stats: made.stats }];
  const folded = await session.commitFolded(point!, { runId: 'fold', disks });
  return { point: point!, folded, stats: made.stats, repository };
}

test('a fold without a backup: the same content, by as few pieces as was said before, beside the point as it was', async () => {
  const year = await yearWith('off', 25);
  const most = await year.readsOfRestore();
  const before = await (await Repository.open(year.parts)).foldState({ root: year.root, size: SIZE });
  // A chunk of which two pieces of a slot come may be read once.
  assert.ok(before.pieces >= most && before.pieces < 1.1 * most, `${before.pieces} pieces, ${most} reads`);
  assert.ok(before.foldableSlots > 2, `${before.foldableSlots} slots`);
  const { point, folded, stats, repository } = await foldNewest(year);
  assert.equal(stats.foldedSlots, before.foldableSlots);
  assert.deepEqual([stats.readBytes, stats.changedBytes], [0, 0]);
  const content = await contentOf(year.disk);
  for (const { disks } of [point, folded]) {
    const restored = await restoredContent(repository, disks[0]!.root, SIZE);
    assert.ok(restored.equals(content));
  }
  year.root = folded.disks[0]!.root;
  const after = await repository.foldState(folded.disks[0]!);
  assert.deepEqual([after.foldableSlots, after.pieces], [0, before.pieces - before.savedPieces]);
  assert.ok((await year.readsOfRestore()) <= after.pieces);
  const { id: _id, created, digest: _digest, runId: _run, disks: _disks, ...rest } = folded;
  assert.equal(Date.parse(created), Date.parse(point.created) + 1);
  assert.deepEqual(rest, {
    formatVersion: 1,
    vm: point.vm,
    consistency: point.consistency,
    foldedFrom: point.id,
  });
  assert.deepEqual((await repository.verify({ workers: 0 })).problems, []);
});

test('a budget ends a fold, and the next one goes on; increments over it are exact', async () => {
  const year = await yearWith('off', 25);
  let last: Awaited<ReturnType<typeof foldNewest>> | undefined;
  for (let runs = 1; ; runs += 1) {
    assert.ok(runs < 10);
    last = await foldNewest(year, 2 * MiB);
    assert.ok(last.stats.foldedBytes <= 2 * MiB);
    if (last.stats.foldedSlots === 0) break;
  }
  year.root = last.folded.disks[0]!.root;
  await year.increment(randomFrom(9), 'off');
  assert.ok(await year.restoredExactly());
});

test('of a disk that shrank, a fold brings nothing back', async () => {
  const year = await yearWith('off', 20);
  const smaller = SIZE - 2 * MiB - CELL_BYTES;
  const repository = await Repository.open(year.parts);
  await using session = await repository.startSession({ workers: 0 });
  const reader = repository.openDisk(year.root, smaller);
  const { root } = await session.foldDisk({ root: year.root, size: smaller, reader, bytesMax: Infinity });
  await session.commit(await draftOf(session, [{ root, size: smaller }]));
  const expected = (await contentOf(year.disk)).subarray(0, smaller);
  assert.ok((await contentOf(repository.openDisk(root, smaller))).equals(expected));
  const grown = await contentOf(repository.openDisk(root, SIZE)).catch(() => undefined);
  if (grown) assert.ok(grown.subarray(smaller, smaller + CELL_BYTES / 2).every((byte) => byte === 0));
});
