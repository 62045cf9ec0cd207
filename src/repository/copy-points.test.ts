/** Copied points are the same points under other keys: content, id, time; and a copy that dies anywhere goes on where it was. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB, hasCode } from '../base/index.ts';
import { StoppedError, createMemoryStore, faultyStore, stopAt } from '../objectstore/index.ts';
import { CELL_BYTES } from './format.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import { backUp, contentOf, diskWith, partsFor, sampleBytes } from './repository.fixture.ts';

const SIZE = 6 * MiB;

/** A full and two increments of one disk, the second of them with a hole. */
const origin = await (async () => {
  const parts = partsFor();
  const repository = await Repository.open(parts);
  const disk = await diskWith(SIZE, [[0, sampleBytes(4 * MiB, 1)]]);
  const first = await backUp(repository, { reader: disk, extents: disk.allocated() });
  const contents = [await contentOf(disk)];
  let base = first.root;
  for (const [cell, seed] of [
    [3, 2],
    [20, 3],
  ] as const) {
    await disk.write(cell * CELL_BYTES, sampleBytes(CELL_BYTES, seed));
    const extents = [{ offset: cell * CELL_BYTES, length: CELL_BYTES }];
    base = (await backUp(repository, { reader: disk, extents, base })).root;
    contents.push(await contentOf(disk));
  }
  const points = (await Array.fromAsync(repository.points())).toReversed();
  return { parts, points, contents };
})();

const source = (): Promise<Repository> => Repository.open(origin.parts);

async function assertWhole(parts: RepositoryParts): Promise<void> {
  const target = await Repository.open(parts);
  const points = (await Array.fromAsync(target.points())).toReversed();
  assert.deepEqual(
    points.map(({ id, created, parent }) => [id, created, parent]),
    origin.points.map(({ id, created, parent }) => [id, created, parent]),
  );
  for (const [index, { disks, vm }] of points.entries()) {
    assert.ok((await contentOf(target.openDisk(disks[0]!.root, SIZE))).equals(origin.contents[index]!));
    assert.equal(Buffer.from(await target.readBlob(vm.configuration)).toString(), '{"cpus":2}');
    assert.notEqual(disks[0]!.root.id, origin.points[index]!.disks[0]!.root.id, 'other keys, other ids');
  }
  assert.ok((await target.verify({ workers: 0 })).ok);
}

for (const encrypted of [true, false]) {
  test(`points are copied into ${encrypted ? 'an encrypted' : 'a plain'} repository; an increment costs what it changed`, async () => {
    const parts = partsFor(createMemoryStore(), encrypted);
    const target = await Repository.open(parts);
    const copied = await Array.fromAsync(target.copyPoints(await source(), origin.points));
    await assertWhole(parts);
    assert.equal(copied[0]!.stats!.readBytes, 4 * MiB);
    // A patched slot is its base, which is there already, and the patch.
    assert.deepEqual(
      copied.slice(1).map(({ stats }) => [stats!.newChunks, stats!.readBytes]),
      [
        [1, MiB + CELL_BYTES],
        [1, MiB + CELL_BYTES],
      ],
    );
    const again = await Array.fromAsync(target.copyPoints(await source(), origin.points));
    assert.ok(again.every(({ stats }) => stats === undefined));
    assert.deepEqual(await target.baselines(origin.points[0]!.vm.id), []);
  });
}

test('one point alone is copied whole, and what the target had of it is not stored again', async () => {
  const parts = partsFor();
  const target = await Repository.open(parts);
  const disk = await diskWith(SIZE, [[0, sampleBytes(4 * MiB, 1)]]);
  await backUp(target, { reader: disk, extents: disk.allocated() }, '11111111-2222-4333-8444-555555555555');
  const [last] = origin.points.slice(-1);
  const [copied] = await Array.fromAsync(target.copyPoints(await source(), [last!]));
  assert.deepEqual([copied!.stats!.chunks, copied!.stats!.newChunks], [6, 2]);
  const point = await target.point(last!.id);
  const content = await contentOf(target.openDisk(point.disks[0]!.root, SIZE));
  assert.ok(content.equals(origin.contents.at(-1)!));
});

test('a copy that dies at any call of the target leaves whole points only, and the next goes on', async () => {
  let cuts = 0;
  for (const when of ['before', 'after'] as const) {
    for (let step = 1, done = false; !done; step += 7) {
      const store = createMemoryStore();
      const parts = partsFor(store);
      const dying = { ...parts, store: faultyStore(store, stopAt(step, when)) };
      done = await Repository.open(dying)
        .then(async (target) => Array.fromAsync(target.copyPoints(await source(), origin.points)))
        .then(
          () => true,
          (error: unknown) => {
            assert.ok(error instanceof StoppedError, String(error));
            return false;
          },
        );
      const target = await Repository.open(parts);
      for await (const { id, disks } of target.points()) {
        const index = origin.points.findIndex((point) => point.id === id);
        const content = await contentOf(target.openDisk(disks[0]!.root, SIZE));
        assert.ok(content.equals(origin.contents[index]!));
      }
      await Array.fromAsync(target.copyPoints(await source(), origin.points));
      await assertWhole(parts);
      cuts += 1;
    }
  }
  assert.ok(cuts > 10, `only ${cuts}`);
});

test('a repository is not copied into itself', async () => {
  const repository = await source();
  await assert.rejects(Array.fromAsync(repository.copyPoints(await source(), origin.points)), (error) =>
    hasCode(error, 'REPO_COPY_INTO_ITSELF'),
  );
});
