import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, KiB, MiB, TiB } from '../base/index.ts';
import { CountingDisk, FaultyReader, MemoryDisk, type RangeReader } from '../disk/index.ts';
import { normalise, type Extent } from '../extents/index.ts';
import { createMemoryStore, openDirectoryStore } from '../objectstore/index.ts';
import { BlockMap } from './block-map.ts';
import { CELL_BYTES, SLOT_BYTES } from './format.ts';
import type { MapRoot } from './map-root.ts';
import { ObjectCodec } from './object.ts';
import { ObjectIndex } from './object-index.ts';
import { ObjectReader } from './object-reader.ts';
import {
  backUp,
  contentOf,
  diskWith,
  draftOf,
  ingest,
  openTest,
  partsFor,
  restoredContent,
  sampleBytes,
  temporaryFolder,
} from './repository.fixture.ts';
import { Repository } from './repository.ts';

const whole = (size: number): Extent[] => [{ offset: 0, length: size }];
const PAYLOAD_RATIO_MAX = 1.05;

/** The same content on a disk of another size: grown with zeros, or cut. */
async function resized(disk: MemoryDisk, size: number): Promise<MemoryDisk> {
  const content = (await contentOf(disk)).subarray(0, size);
  const copy = new MemoryDisk(size);
  for (let at = 0; at < content.length; at += CELL_BYTES) {
    const cell = content.subarray(at, at + CELL_BYTES);
    if (cell.some((byte) => byte !== 0)) await copy.write(at, cell);
  }
  return copy;
}

const anyWrite = fc.record(
  {
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.oneof(
      fc.integer({ min: 1, max: 2000 }),
      fc.constantFrom(CELL_BYTES, 5 * CELL_BYTES, SLOT_BYTES, 1_300_000),
    ),
    kind: fc.constantFrom('sample', 'sample', 'zeros', 'repeat'),
    seed: fc.nat({ max: 1000 }),
  },
  { noNullPrototype: true },
);
const anyGeneration = fc.record(
  {
    writes: fc.array(anyWrite, { maxLength: 5 }),
    size: fc.option(fc.integer({ min: 1, max: 5 * MiB }), { freq: 3 }),
    /** Bytes reported around each write although they did not change. */
    overReport: fc.constantFrom(0, 0, 1, CELL_BYTES, SLOT_BYTES),
  },
  { noNullPrototype: true },
);

async function applyWrite(
  disk: MemoryDisk,
  write: { at: number; length: number; kind: string; seed: number },
): Promise<Extent> {
  const offset = Math.floor(write.at * (disk.size - 1));
  const length = Math.min(write.length, disk.size - offset);
  if (write.kind === 'zeros') await disk.zero(offset, length);
  else await disk.write(offset, sampleBytes(length, write.kind === 'repeat' ? 7 : write.seed));
  return { offset, length };
}

test('any generations of writes, trims, resizes and over-reports: every point restores to its disk, for ever', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyGeneration, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (generations, encrypted) => {
        const repository = await openTest(createMemoryStore(), encrypted);
        let disk = new MemoryDisk(generations[0]!.size ?? 3 * MiB);
        let base: MapRoot | undefined;
        const points: { root: MapRoot; content: Buffer }[] = [];
        for (const { writes, size, overReport } of generations) {
          if (size !== null && size !== disk.size) disk = await resized(disk, size);
          const changed: Extent[] = [];
          for (const write of writes) {
            const { offset, length } = await applyWrite(disk, write);
            const start = Math.max(0, offset - overReport);
            changed.push({
              offset: start,
              length: Math.min(disk.size, offset + length + overReport) - start,
            });
          }
          const extents = base ? normalise(changed) : disk.allocated();
          const { root } = await backUp(repository, { reader: disk, extents, base });
          points.push({ root, content: await contentOf(disk) });
          base = root;
        }
        for (const { root, content } of points) {
          const read = await contentOf(repository.openDisk(root, content.length));
          assert.ok(read.equals(content), 'a point reads as its disk was');
        }
        assert.deepEqual((await repository.verify({ workers: 0 })).problems, []);
      },
    ),
    { numRuns: 40 },
  );
});

test('a disk restored into an image is the disk, with and without worker threads, on a folder and in memory', async () => {
  const folder = join(temporaryFolder(), 'repository');
  mkdirSync(folder);
  const size = 7 * MiB + 12_345;
  const disk = await diskWith(size, [
    [0, sampleBytes(2 * MiB, 1)],
    [3 * MiB + 5000, randomBytes(900_000)],
    [size - 700, sampleBytes(700, 2)],
  ]);
  const content = await contentOf(disk);
  for (const store of [await openDirectoryStore(folder), createMemoryStore()]) {
    const repository = await openTest(store);
    const session = await repository.startSession({ workers: 2 });
    const { root } = await ingest(session, { reader: disk, extents: disk.allocated() });
    await session.commit(await draftOf(session, [{ root, size }]));
    for (const workers of [0, 2]) {
      assert.ok(
        (await restoredContent(repository, root, size, workers)).equals(content),
        `${workers} workers`,
      );
    }
  }
});

test('disks of one byte and of nothing but zeros are disks', async () => {
  const repository = await openTest();
  for (const disk of [
    await diskWith(1, [[0, Buffer.from('x')]]),
    new MemoryDisk(1),
    new MemoryDisk(400 * MiB),
  ]) {
    const { root } = await backUp(repository, { reader: disk, extents: whole(Math.min(disk.size, 3 * MiB)) });
    const read = Buffer.alloc(1);
    await repository.openDisk(root, disk.size).read(disk.size - 1, read);
    assert.equal(read.toString('latin1'), (await contentOf(disk)).subarray(-1).toString('latin1'));
  }
});

test('an unchanged disk has the same root and stores nothing, whatever was reported as changed', async () => {
  const repository = await openTest();
  const disk = await diskWith(6 * MiB, [[100_000, sampleBytes(4 * MiB, 3)]]);
  const full = await backUp(repository, { reader: disk, extents: disk.allocated() });
  const reports: Extent[][] = [[], whole(disk.size), [{ offset: 2 * MiB + 5, length: 500_000 }]];
  for (const extents of reports) {
    const { root, stats } = await backUp(repository, { reader: disk, extents, base: full.root });
    assert.deepEqual(root, full.root);
    assert.equal(stats.changedBytes, 0);
    assert.equal(stats.newStoredBytes + stats.metadataBytes, 0);
  }
  const again = await backUp(repository, { reader: disk, extents: disk.allocated() });
  assert.deepEqual(again.root, full.root, 'a second full of the same content is the same map');
  assert.equal(again.stats.newStoredBytes, 0);
  assert.equal(again.stats.dedupBytes, full.stats.newRawBytes);
});

test('a disk whose change tracking was lost is read whole and stores only the cells that differ', async () => {
  const repository = await openTest();
  const disk = await diskWith(8 * MiB, [[0, randomBytes(8 * MiB)]]);
  const { root: base } = await backUp(repository, { reader: disk, extents: disk.allocated() });
  for (const slot of [1, 4, 6])
    await disk.write(slot * SLOT_BYTES + 3 * CELL_BYTES + 17, Buffer.from('changed'));
  const { root, stats } = await backUp(repository, { reader: disk, extents: whole(disk.size), base });
  assert.equal(stats.readBytes, disk.size);
  assert.equal(stats.changedBytes, 3 * CELL_BYTES);
  assert.equal(stats.newRawBytes, 3 * CELL_BYTES);
  assert.ok((await contentOf(repository.openDisk(root, disk.size))).equals(await contentOf(disk)));
});

test('scattered writes of 64 KiB cost what changed, within five per cent, generation after generation', async () => {
  const repository = await openTest();
  const disk = await diskWith(64 * MiB, [[0, randomBytes(64 * MiB)]]);
  let { root } = await backUp(repository, { reader: disk, extents: disk.allocated() });
  for (let generation = 1; generation <= 5; generation += 1) {
    const changes = Array.from({ length: 40 }, (_, i) => ({
      offset: ((i * 1_597 + generation * 331) % 1024) * CELL_BYTES,
      length: CELL_BYTES,
    }));
    for (const { offset, length } of changes) await disk.write(offset, randomBytes(length));
    const reader = new CountingDisk(disk);
    const result = await backUp(repository, { reader, extents: normalise(changes), base: root });
    const changed = changes.length * CELL_BYTES;
    assert.equal(result.stats.changedBytes, changed);
    assert.ok(
      result.stats.newStoredBytes <= PAYLOAD_RATIO_MAX * changed,
      `${result.stats.newStoredBytes} for ${changed}`,
    );
    assert.equal(reader.stats.readBytes, changed, 'nothing but the changes is read');
    root = result.root;
  }
  assert.ok((await contentOf(repository.openDisk(root, disk.size))).equals(await contentOf(disk)));
});

test('12 of 16 changed cells are stored as one chunk for the slot', async () => {
  const repository = await openTest();
  const disk = await diskWith(2 * MiB, [[0, randomBytes(2 * MiB)]]);
  const { root: base } = await backUp(repository, { reader: disk, extents: disk.allocated() });
  await disk.write(SLOT_BYTES, randomBytes(12 * CELL_BYTES));
  const extents = [{ offset: SLOT_BYTES, length: 12 * CELL_BYTES }];
  const { stats } = await backUp(repository, { reader: disk, extents, base });
  assert.equal(stats.newChunks, 1);
  assert.equal(stats.newRawBytes, SLOT_BYTES);
});

test('a last slot that is shorter is one chunk all the same, and a patch of it one extent', async () => {
  const parts = partsFor();
  const repository = await Repository.open(parts);
  const index = new ObjectIndex(parts.store, Buffer.from(parts.header.repositoryId, 'hex'));
  const map = new BlockMap(new ObjectReader(parts.store, index, new ObjectCodec(parts.keys)));
  const disk = await diskWith(SLOT_BYTES + 6 * CELL_BYTES + 99, [
    [0, randomBytes(SLOT_BYTES + 6 * CELL_BYTES + 99)],
  ]);
  const { root: base } = await backUp(repository, { reader: disk, extents: disk.allocated() });
  const entry = await map.entry(base, 1);
  assert.equal(entry?.kind, 'chunk');
  await disk.write(SLOT_BYTES + CELL_BYTES, randomBytes(CELL_BYTES));
  const extents = [{ offset: SLOT_BYTES + CELL_BYTES, length: CELL_BYTES }];
  const { root } = await backUp(repository, { reader: disk, extents, base });
  const patched = await map.entry(root, 1);
  assert.ok(patched?.kind === 'patched' && patched.base === entry.id);
  assert.deepEqual(
    patched.extents.map(({ cell, count, sourceCell }) => [cell, count, sourceCell]),
    [[1, 1, 0]],
  );
});

test('the same content is stored once: inside a disk, across disks of a session at once, across runs', async () => {
  const repository = await openTest();
  const pattern = randomBytes(SLOT_BYTES);
  const disk = await diskWith(
    8 * MiB,
    [0, 1, 2, 5].map((slot) => [slot * SLOT_BYTES, pattern] as const),
  );
  const session = await repository.startSession({ workers: 0 });
  const part = { reader: disk, extents: whole(disk.size) };
  const [a, b] = await Promise.all([ingest(session, part), ingest(session, part)]);
  const c = await ingest(session, part);
  await session.commit(await draftOf(session, [{ root: a.root, size: disk.size }]));
  assert.deepEqual(a.root, b.root);
  assert.ok(a.stats.newRawBytes + b.stats.newRawBytes <= 2 * SLOT_BYTES);
  assert.equal(c.stats.newRawBytes, 0);
  assert.equal((await backUp(repository, part)).stats.newRawBytes, 0);
});

test('zeros are neither stored nor counted as changed, and trimming costs no data', async () => {
  const repository = await openTest();
  const disk = await diskWith(4 * MiB, [[0, randomBytes(2 * MiB)]]);
  const full = await backUp(repository, { reader: disk, extents: whole(disk.size) });
  assert.equal(full.stats.zeroBytes, 2 * MiB);
  assert.equal(full.stats.changedBytes, 2 * MiB);
  await disk.zero(SLOT_BYTES, 3 * CELL_BYTES);
  const extents = [{ offset: SLOT_BYTES, length: 3 * CELL_BYTES }];
  const trimmed = await backUp(repository, { reader: disk, extents, base: full.root });
  assert.equal(trimmed.stats.newRawBytes, 0);
  assert.equal(trimmed.stats.changedBytes, 3 * CELL_BYTES);
});

test('a disk that shrank and grew again reads as zeros where it was cut', async () => {
  const repository = await openTest();
  const before = await diskWith(3 * MiB, [[0, randomBytes(3 * MiB)]]);
  const cutAt = MiB + 3 * CELL_BYTES + 1000;
  const cut = await resized(before, cutAt);
  const grown = await resized(cut, 5 * MiB);
  const a = await backUp(repository, { reader: before, extents: before.allocated() });
  const b = await backUp(repository, { reader: cut, extents: [], base: a.root });
  const c = await backUp(repository, { reader: grown, extents: [], base: b.root });
  assert.ok((await contentOf(repository.openDisk(c.root, grown.size))).equals(await contentOf(grown)));
  assert.ok((await contentOf(repository.openDisk(b.root, cut.size))).equals(await contentOf(cut)));
});

test('a disk that fails leaves the session usable, and what it had claimed is stored by the next', async () => {
  const repository = await openTest();
  const disk = await diskWith(24 * MiB, [[0, randomBytes(24 * MiB)]]);
  let reads = 0;
  const failing = new FaultyReader(disk, () => {
    if ((reads += 1) > 12) throw new Error('the host is gone');
  });
  const session = await repository.startSession({ workers: 0 });
  await assert.rejects(ingest(session, { reader: failing, extents: whole(disk.size) }), /host is gone/);
  const { root } = await ingest(session, { reader: disk, extents: whole(disk.size) });
  await session.commit(await draftOf(session, [{ root, size: disk.size }]));
  assert.ok((await contentOf(repository.openDisk(root, disk.size))).equals(await contentOf(disk)));
});

test('a cancelled ingest stops, and nothing of the session becomes visible', async () => {
  const repository = await openTest();
  const controller = new AbortController();
  const disk = await diskWith(40 * MiB, [[0, randomBytes(MiB)]]);
  const reader = new FaultyReader(disk, (offset) => {
    if (offset > 10 * MiB) controller.abort(new Error('stop'));
  });
  const session = await repository.startSession({ workers: 0, signal: controller.signal });
  await assert.rejects(ingest(session, { reader, extents: whole(disk.size) }), /stop/);
  await session.abort();
  assert.deepEqual(await Array.fromAsync(repository.points()), []);
});

test('an aborted run is not in vain: what was durable is not stored again', async () => {
  const store = createMemoryStore();
  const parts = partsFor(store);
  const disk = await diskWith(40 * MiB, [[0, randomBytes(40 * MiB)]]);
  const first = await (await Repository.open(parts)).startSession({ workers: 0 });
  await ingest(first, { reader: disk, extents: whole(disk.size) });
  await first.abort();
  const { stats } = await backUp(await Repository.open(parts), { reader: disk, extents: whole(disk.size) });
  assert.ok(stats.dedupBytes >= 30 * MiB, `${stats.dedupBytes} bytes were there already`);
});

/** Random 64 KiB at every multiple of 64 GiB, without holding a page. */
class HugeDisk implements RangeReader {
  readonly size = 64 * TiB;
  readBytes = 0;

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.readBytes += into.length;
    into.set(sampleBytes(into.length, offset / CELL_BYTES));
  }

  async close(): Promise<void> {}
}

test('an increment of 64 TiB reads the changes and one path of the map for each, not the disk', async () => {
  const store = createMemoryStore();
  const repository = await openTest(store);
  const reader = new HugeDisk();
  const changes = (shift: number): Extent[] =>
    Array.from({ length: 200 }, (_, i) => ({ offset: i * 300 * GiB + shift, length: 64 * KiB }));
  const { root: base } = await backUp(repository, { reader, extents: changes(0) });
  reader.readBytes = 0;
  const calls = store.calls().length;
  const { root } = await backUp(repository, { reader, extents: changes(MiB), base });
  assert.equal(reader.readBytes, 200 * 64 * KiB);
  assert.ok(
    store.calls().length - calls < 200 * base.levels * 2,
    `${store.calls().length - calls} calls of the store`,
  );
  const allocated = await Array.fromAsync(repository.openDisk(root, reader.size).allocated());
  assert.deepEqual(allocated, normalise([...changes(0), ...changes(MiB)]));
});
