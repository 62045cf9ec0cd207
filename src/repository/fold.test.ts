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
