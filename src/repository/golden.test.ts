/** Repositories of every format version there was: they open, verify, restore exactly, and can be written on. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { MiB } from '../base/index.ts';
import { MemoryDisk, type RangeReader } from '../disk/index.ts';
import { createMemoryStore, openDirectoryStore, type ObjectStore } from '../objectstore/index.ts';
import { CELL_BYTES, FORMAT_VERSION } from './format.ts';
import { openRepository } from './open-repository.ts';
import { backUp, openTest, sampleBytes } from './repository.fixture.ts';
import type { Repository } from './repository.ts';

interface GoldenPoint {
  readonly id: string;
  readonly created: string;
  readonly vm: { readonly id: string; readonly name: string };
  readonly disks: readonly { readonly diskId: string; readonly size: number; readonly sha256: string }[];
}

interface Golden {
  readonly passphrase: string;
  readonly encrypted: { readonly recoveryKey: string; readonly points: readonly GoldenPoint[] };
  readonly plain: { readonly points: readonly GoldenPoint[] };
}

const fixtures = new URL('../../fixtures/', import.meta.url);
const versions = readdirSync(fixtures).filter((name) => name.startsWith('repository-v'));

async function digestOf(disk: RangeReader): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < disk.size; at += MiB) {
    const bytes = Buffer.alloc(Math.min(MiB, disk.size - at));
    await disk.read(at, bytes);
    hash.update(bytes);
  }
  return hash.digest('hex');
}

async function checkPoints(repository: Repository, expected: readonly GoldenPoint[]): Promise<void> {
  const points = await Array.fromAsync(repository.points());
  assert.deepEqual(new Set(points.map(({ id }) => id)), new Set(expected.map(({ id }) => id)));
  for (const { id, created, vm, disks } of expected) {
    const point = await repository.point(id);
    assert.deepEqual([point.created, point.vm.name], [created, vm.name]);
    const settings = Buffer.from(await repository.readBlob(point.vm.configuration)).toString();
    assert.deepEqual(JSON.parse(settings), { name: vm.name });
    const found = [];
    for (const { diskId, size, root } of point.disks) {
      found.push({ diskId, size, sha256: await digestOf(repository.openDisk(root, size)) });
    }
    assert.deepEqual(found, disks);
  }
  assert.deepEqual((await repository.verify({ workers: 0 })).problems, []);
}

async function copyOf(store: ObjectStore): Promise<ObjectStore> {
  const copy = createMemoryStore();
  for await (const { name, size } of store.list(''))
    await copy.putNew(name, await store.getRange(name, 0, size));
  return copy;
}

/** One more restore point over what another version wrote. */
async function checkWriting(store: ObjectStore, secret: object, { id, vm }: GoldenPoint): Promise<void> {
  const repository = await openRepository(store, secret);
  const { root: base, size } = (await repository.point(id)).disks[1]!;
  const disk = new MemoryDisk(size);
  for await (const { offset, length } of repository.openDisk(base, size).allocated()) {
    const bytes = Buffer.alloc(length);
    await repository.openDisk(base, size).read(offset, bytes);
    await disk.write(offset, bytes);
  }
  await disk.write(CELL_BYTES, sampleBytes(CELL_BYTES, 1));
  const extents = [{ offset: CELL_BYTES, length: CELL_BYTES }];
  const { root, stats, point } = await backUp(repository, { reader: disk, extents, base }, vm.id);
  assert.equal(stats.newRawBytes, CELL_BYTES);
  assert.equal(await digestOf(repository.openDisk(root, size)), await digestOf(disk));
  assert.equal((await repository.point('latest', { vmId: vm.id })).id, point.id);
  const again = await backUp(
    repository,
    { reader: disk, extents: [{ offset: 0, length: size }], base: root },
    vm.id,
  );
  assert.deepEqual(
    [again.root, again.stats.newStoredBytes],
    [root, 0],
    'what was stored then is known again',
  );
}

/** Into a repository of the present version. */
async function checkCopying(repository: Repository, expected: readonly GoldenPoint[]): Promise<void> {
  const target = await openTest();
  for (const vmId of new Set(expected.map(({ vm }) => vm.id))) {
    const points = await Array.fromAsync(repository.points({ vmId }));
    await Array.fromAsync(target.copyPoints(repository, points));
  }
  await checkPoints(target, expected);
}

test('the present format version is among the golden repositories', () => {
  assert.ok(versions.includes(`repository-v${FORMAT_VERSION}`));
});

for (const version of versions) {
  const folder = new URL(`${version}/`, fixtures);
  const golden = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8')) as Golden;
  const { passphrase, encrypted, plain } = golden;
  for (const { name, secrets, points } of [
    {
      name: 'encrypted',
      secrets: [{ passphrase }, { recoveryKey: encrypted.recoveryKey }],
      points: encrypted.points,
    },
    { name: 'plain', secrets: [{}], points: plain.points },
  ]) {
    test(`${version}, ${name}: every disk of every point is what it was, and the next point goes on top`, async () => {
      // A copy: also a verification writes something down.
      const store = await copyOf(await openDirectoryStore(new URL(name, folder).pathname));
      const [last] = secrets.slice(-1);
      for (const secret of secrets) await openRepository(store, secret);
      const repository = await openRepository(store, last);
      await checkPoints(repository, points);
      const [, , newest] = points;
      const { vm } = newest!;
      assert.deepEqual(
        (await repository.baselines(vm.id)).map(({ pointId, referencePointId }) => [
          pointId,
          referencePointId,
        ]),
        [[newest!.id, `Microsoft:${newest!.id}`]],
      );
      assert.deepEqual(await repository.journal.notes(vm.id), [
        { key: 'golden-freezing', value: { step: 'freezing' } },
      ]);
      await checkCopying(repository, points);
      await checkWriting(store, last!, newest!);
    });
  }
}
