/** Compares: any two states of a disk, of any size, and nothing but the difference is stored. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MiB } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { createMemoryStore } from '../objectstore/index.ts';
import { BlockMap } from './block-map.ts';
import { CELL_BYTES, SLOT_BYTES } from './format.ts';
import { ObjectCodec } from './object.ts';
import { ObjectIndex } from './object-index.ts';
import { ObjectReader } from './object-reader.ts';
import { backUp, contentOf, diskWith, openTest, partsFor, sampleBytes } from './repository.fixture.ts';
import { Repository } from './repository.ts';

/** From 12 of 16 cells on a slot is stored whole, so that at most a third more than the cells that differ is stored. */
const STORED_RATIO_MAX = 16 / 12;

/** Bytes of the cells in which two disks differ; what one of them does not have counts as zeros. */
function differingBytes(before: Buffer, after: Buffer): number {
  let bytes = 0;
  for (let at = 0; at < after.length; at += CELL_BYTES) {
    const now = after.subarray(at, at + CELL_BYTES);
    const then = Buffer.alloc(now.length);
    then.set(before.subarray(at, at + now.length));
    if (!now.equals(then)) bytes += now.length;
  }
  return bytes;
}

async function diskOf(size: number, cells: readonly number[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk(size);
  for (const [cell, seed] of cells.entries()) {
    const length = Math.min(CELL_BYTES, size - cell * CELL_BYTES);
    if (seed > 0 && length > 0) await disk.write(cell * CELL_BYTES, sampleBytes(length, seed));
  }
  return disk;
}

/** Small seeds, so that content stays, moves and repeats; 0 is not allocated. */
const anyCells = fc.array(fc.constantFrom(0, 0, 1, 2, 2, 3), { maxLength: 52 });
const anySize = fc.oneof(fc.constantFrom(3 * MiB, 3 * MiB + 12_345), fc.integer({ min: 1, max: 3 * MiB }));

test('a compare over any base ends with the disk, byte for byte, counts what differs and stores no more', async () => {
  await fc.assert(
    fc.asyncProperty(
      anySize,
      anySize,
      fc.array(anyCells, { minLength: 2, maxLength: 4 }),
      async (first, later, states) => {
        const repository = await openTest();
        let before: Buffer = Buffer.alloc(0);
        let base;
        for (const [generation, cells] of states.entries()) {
          const disk = await diskOf(generation === 0 ? first : later, cells);
          const part = { reader: disk, extents: disk.allocated(), base, compare: base !== undefined };
          const { root, stats } = await backUp(repository, part);
          const now = await contentOf(disk);
          assert.ok(
            (await contentOf(repository.openDisk(root, disk.size))).equals(now),
            'the map is the disk',
          );
          const differs = differingBytes(before, now);
          // The last slot of a disk that shrank is written anew: what was cut off must not come back.
          const cut = base !== undefined && now.length < before.length ? SLOT_BYTES : 0;
          if (base !== undefined && cut === 0)
            assert.equal(stats.changedBytes, differs, 'counted is what differs');
          const inCells = Math.ceil(differs / CELL_BYTES) * CELL_BYTES;
          assert.ok(
            stats.newRawBytes <= inCells * STORED_RATIO_MAX + cut,
            `${stats.newRawBytes} stored, ${differs} differ`,
          );
          [before, base] = [now, root];
        }
        assert.deepEqual((await repository.verify({ workers: 0 })).problems, []);
      },
    ),
    { numRuns: 60 },
  );
});

test('a disk compared with itself keeps its root and stores nothing, although increments had patched its slots', async () => {
  const repository = await openTest();
  const disk = await diskWith(9 * MiB, [[MiB, sampleBytes(6 * MiB, 1)]]);
  const full = await backUp(repository, { reader: disk, extents: disk.allocated() });
  await disk.write(2 * MiB + CELL_BYTES, sampleBytes(CELL_BYTES, 2));
  const extents = [{ offset: 2 * MiB + CELL_BYTES, length: CELL_BYTES }];
  const delta = await backUp(repository, { reader: disk, extents, base: full.root });
  const again = await backUp(repository, {
    reader: disk,
    extents: disk.allocated(),
    base: delta.root,
    compare: true,
  });
  assert.deepEqual(again.root, delta.root);
  assert.deepEqual([again.stats.changedBytes, again.stats.newRawBytes, again.stats.metadataBytes], [0, 0, 0]);
});

test('what is allocated no more is zeros, costs no read, and its slots leave the map', async () => {
  const parts = partsFor(createMemoryStore());
  const repository = await Repository.open(parts);
  const disk = await diskWith(8 * MiB, [[0, sampleBytes(8 * MiB, 1)]]);
  const full = await backUp(repository, { reader: disk, extents: disk.allocated() });
  await disk.zero(MiB, 6 * MiB);
  const { root, stats } = await backUp(repository, {
    reader: disk,
    extents: disk.allocated(),
    base: full.root,
    compare: true,
  });
  assert.deepEqual([stats.readBytes, stats.changedBytes, stats.newRawBytes], [2 * MiB, 6 * MiB, 0]);
  const index = new ObjectIndex(parts.store, Buffer.from(parts.header.repositoryId, 'hex'));
  await index.refresh();
  const map = new BlockMap(new ObjectReader(parts.store, index, new ObjectCodec(parts.keys)));
  const slots = (await Array.fromAsync(map.walk(root, 0, 8))).map(({ slot }) => slot);
  assert.deepEqual(slots, [0, 7]);
});
