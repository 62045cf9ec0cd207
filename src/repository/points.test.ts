import assert from 'node:assert/strict';
import { createSecretKey, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { createMemoryStore } from '../objectstore/index.ts';
import type { BaselineRecord } from './baselines.ts';
import { Repository } from './repository.ts';
import { backUp, diskWith, openTest, partsFor, sampleBytes, VM_ID } from './repository.fixture.ts';

const part = async (seed: number) => {
  const disk = await diskWith(5000, [[0, sampleBytes(5000, seed)]]);
  return { reader: disk, extents: disk.allocated() };
};

test('what was committed is what is read: every field, for another process too', async () => {
  const parts = partsFor();
  const { point, root } = await backUp(await Repository.open(parts), await part(1));
  const read = await (await Repository.open(parts)).point(point.id);
  assert.deepEqual(read, point);
  assert.deepEqual(read.disks[0]!.root, root);
  assert.equal(read.vm.name, 'web');
  assert.deepEqual(read.consistency, { asked: 'application-preferred', reached: 'crash' });
  const settings = await (await Repository.open(parts)).readBlob(read.vm.configuration);
  assert.equal(Buffer.from(settings).toString(), '{"cpus":2}');
});

test('points are listed newest first, found by id, by its beginning, and as the latest of a VM', async () => {
  const repository = await openTest();
  const made: string[] = [];
  for (let i = 0; i < 4; i += 1) made.push((await backUp(repository, await part(i))).point.id);
  const other = (await backUp(repository, await part(9), 'other-vm')).point;
  const listed = (await Array.fromAsync(repository.points({ vmId: VM_ID.toUpperCase() }))).map(
    ({ id }) => id,
  );
  assert.deepEqual(listed, made.toReversed());
  assert.equal((await Array.fromAsync(repository.points())).length, 5);
  assert.equal((await repository.point('latest', { vmId: VM_ID })).id, made.at(-1));
  assert.equal((await repository.point(other.id.slice(0, 12).toUpperCase())).id, other.id);
  for (const unknown of ['', 'zz', 'latest']) {
    await assert.rejects(repository.point(unknown), (error) => hasCode(error, 'REPO_POINT_NOT_FOUND'));
  }
  await assert.rejects(repository.point('latest', { vmId: 'no-such-vm' }), (error) =>
    hasCode(error, 'REPO_POINT_NOT_FOUND'),
  );
});

test('a beginning that fits two points is refused, with both named', async () => {
  const repository = await openTest();
  const ids = new Set<string>();
  while (ids.size < 17) ids.add((await backUp(repository, await part(1))).point.id);
  const shared = Array.from('0123456789abcdef').find(
    (digit) => [...ids].filter((id) => id.startsWith(digit)).length > 1,
  )!;
  await assert.rejects(
    repository.point(shared),
    (error) => hasCode(error, 'REPO_POINT_AMBIGUOUS') && /, /.test(String(error)),
  );
});

test('a clock that was set back does not make a new point look old', async () => {
  let now = new Date('2026-11-23T10:00:00.000Z');
  const repository = await Repository.open({ ...partsFor(), now: () => now });
  const first = await backUp(repository, await part(1));
  now = new Date('2020-01-01T00:00:00.000Z');
  const second = await backUp(repository, await part(2));
  assert.equal(second.point.created, '2026-11-23T10:00:00.001Z');
  assert.equal((await repository.point('latest', { vmId: VM_ID })).id, second.point.id);
  assert.ok(first.point.created < second.point.created);
});

test('a listing of the store tells neither the names nor the ids of VMs', async () => {
  const store = createMemoryStore();
  const { point } = await backUp(await openTest(store), await part(1));
  for (const { name } of await Array.fromAsync(store.list(''))) {
    assert.ok(!name.includes(VM_ID) && !name.includes(point.vm.name), name);
  }
});

test('baselines are listed newest first; recording again is success, with other content it is refused', async () => {
  const repository = await openTest();
  const record = (pointId: string, referencePointId = `reference of ${pointId}`): BaselineRecord => ({
    pointId,
    vmId: VM_ID,
    referencePointId,
    consistency: 'application',
    disks: [{ diskId: 'd', attachmentId: 'a', rctId: 'r', size: 5000, chain: ['C:\\a.vhdx'] }],
  });
  const points = [await backUp(repository, await part(1)), await backUp(repository, await part(2))];
  for (const { point } of points) await repository.recordBaseline(record(point.id));
  await repository.recordBaseline(record(points[0]!.point.id));
  const expected = points.map(({ point }) => record(point.id)).toReversed();
  assert.deepEqual(await repository.baselines(VM_ID), expected);
  await assert.rejects(repository.recordBaseline(record(points[0]!.point.id, 'another')), (error) =>
    hasCode(error, 'REPO_BASELINE_CONFLICT'),
  );
  await assert.rejects(repository.recordBaseline(record('0000000000000000')), (error) =>
    hasCode(error, 'REPO_POINT_NOT_FOUND'),
  );
  await repository.forgetBaseline(expected[1]!);
  await repository.forgetBaseline(expected[1]!);
  assert.deepEqual(await repository.baselines(VM_ID), [expected[0]]);
  assert.deepEqual(await repository.baselines('another-vm'), []);
});

test('a damaged baseline is no baseline: the others are still listed', async () => {
  const store = createMemoryStore();
  const repository = await openTest(store);
  const points = [await backUp(repository, await part(1)), await backUp(repository, await part(2))];
  for (const { point } of points) {
    await repository.recordBaseline({
      pointId: point.id,
      vmId: VM_ID,
      referencePointId: 'r',
      consistency: 'crash',
      disks: [],
    });
  }
  const [older] = await Array.fromAsync(store.list('baselines/'));
  store.damage(older!.name, (bytes) => bytes.with(150, bytes[150]! ^ 1));
  assert.deepEqual(
    (await repository.baselines(VM_ID)).map(({ pointId }) => pointId),
    [points[1]!.point.id],
  );
});

test('the journal keeps notes of a VM until they are cleared', async () => {
  const parts = partsFor();
  const { journal } = await Repository.open(parts);
  await journal.record(VM_ID, { key: 'run1-freezing', value: { step: 'freezing' } });
  await journal.record(VM_ID, { key: 'run1-converting', value: { step: 'converting' } });
  await journal.record(VM_ID, { key: 'run2-freezing', value: { step: 'freezing', at: 'x' } });
  const other = (await Repository.open(parts)).journal;
  assert.deepEqual(
    (await other.notes(VM_ID)).map(({ key }) => key),
    ['run1-converting', 'run1-freezing', 'run2-freezing'],
  );
  await other.clear(VM_ID, 'run1-');
  assert.deepEqual(await journal.notes(VM_ID), [
    { key: 'run2-freezing', value: { step: 'freezing', at: 'x' } },
  ]);
  assert.deepEqual(await journal.notes('another-vm'), []);
});

test('a note under the name of another is refused: what one VM was told is not done to another', async () => {
  const parts = partsFor();
  const { journal } = await Repository.open(parts);
  await journal.record(VM_ID, { key: 'run1-freezing', value: { step: 'freezing' } });
  const [note] = await Array.fromAsync(parts.store.list('journal/'));
  const bytes = await parts.store.getRange(note!.name, 0, note!.size);
  await parts.store.putNew(note!.name.replace('run1', 'run2'), bytes);
  assert.deepEqual(
    (await journal.notes(VM_ID)).map(({ key }) => key),
    ['run1-freezing'],
  );
  assert.deepEqual(await journal.dropDamaged(VM_ID), ['run2-freezing']);
  assert.deepEqual(await journal.dropDamaged(VM_ID), []);
  assert.equal((await journal.notes(VM_ID)).length, 1);
});

test('a manifest whose digest is not of this repository is refused, although everything else is in order', async () => {
  const parts = partsFor();
  const { point } = await backUp(await Repository.open(parts), await part(1));
  const keys = { ...parts.keys, manifestKey: createSecretKey(randomBytes(32)) };
  const repository = await Repository.open({ ...parts, keys });
  await assert.rejects(repository.point(point.id), (error) => hasCode(error, 'REPO_POINT_DAMAGED'));
});

test('a baseline under the name of another is no baseline', async () => {
  const store = createMemoryStore();
  const repository = await openTest(store);
  const points = [await backUp(repository, await part(1)), await backUp(repository, await part(2))];
  const [pointId, otherId] = points.map(({ point }) => point.id);
  const rest = { vmId: VM_ID, referencePointId: 'r', consistency: 'crash', disks: [] } as const;
  await repository.recordBaseline({ pointId: pointId!, ...rest });
  const [file] = await Array.fromAsync(store.list('baselines/'));
  const bytes = await store.getRange(file!.name, 0, file!.size);
  await store.putNew(file!.name.replace(pointId!, otherId!), bytes);
  assert.deepEqual(
    (await repository.baselines(VM_ID)).map((each) => each.pointId),
    [pointId],
  );
});
