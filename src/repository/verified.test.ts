/** A budget goes around the ring: whatever the order and size of its runs, every byte is read again within a bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MiB } from '../base/index.ts';
import { createMemoryStore } from '../objectstore/index.ts';
import { Repository } from './repository.ts';
import { backUp, diskWith, partsFor, sampleBytes } from './repository.fixture.ts';
import {
  RING,
  arcsOf,
  isVerified,
  nextPosition,
  paint,
  verifiedSince,
  type VerifiedSpan,
} from './verified.ts';

const anySpan = fc
  .tuple(fc.nat({ max: 40 }), fc.nat({ max: 40 }), fc.nat({ max: 9 }))
  .map(([a, b, at]) => ({ from: Math.min(a, b), to: Math.max(a, b) + 1, at: `2026-01-0${at}` }));

test('painted spans are sorted, do not overlap, and every position has the time it was painted last', () => {
  fc.assert(
    fc.property(fc.array(anySpan, { maxLength: 12 }), (strokes) => {
      const spans = strokes.reduce<VerifiedSpan[]>(paint, []);
      for (const [index, { from, to }] of spans.entries()) {
        assert.ok(from < to && (index === 0 || spans[index - 1]!.to <= from));
      }
      for (let position = 0; position < 42; position += 1) {
        const last = strokes.findLast(({ from, to }) => from <= position && position < to);
        const found = spans.find(({ from, to }) => from <= position && position < to);
        assert.equal(found?.at, last?.at);
        assert.equal(isVerified(spans, position), last !== undefined);
      }
    }),
  );
});

test('what was never read comes first, then what was read the longest time ago', () => {
  const whole = [
    { from: 0, to: 10, at: 'b' },
    { from: 10, to: 20, at: 'a' },
    { from: 20, to: RING, at: 'c' },
  ];
  assert.equal(nextPosition([]), 0);
  assert.equal(nextPosition(whole.slice(0, 1)), 10);
  assert.equal(nextPosition(whole), 10);
  assert.deepEqual(
    [
      verifiedSince(whole, [5, 15, 25]),
      verifiedSince(whole, [5, 25]),
      verifiedSince(whole.slice(0, 2), [5, 25]),
    ],
    ['a', 'b', undefined],
  );
});

/** Eight packs, and a clock that moves on an hour with every question. */
async function manyPacks() {
  let hours = 0;
  const store = createMemoryStore();
  const parts = { ...partsFor(store), now: () => new Date(Date.UTC(2026, 0, 1) + 3_600_000 * (hours += 1)) };
  for (let run = 0; run < 4; run += 1) {
    const disk = await diskWith(MiB, [[0, sampleBytes(MiB, run)]]);
    await backUp(await Repository.open(parts), { reader: disk, extents: disk.allocated() });
  }
  return { store, parts, hours: () => hours };
}

test('budgets read every pack once a round, and the oldest unread byte is never older than the round', async () => {
  const { store, parts } = await manyPacks();
  const packs = (await Array.fromAsync(store.list('packs/'))).length;
  assert.equal(packs, 8);
  let objects = 0;
  for (let run = 0; run < packs; run += 1) {
    const repository = await Repository.open(parts);
    const before = (await repository.verified()).neverBytes;
    assert.ok(before > 0);
    const { ok, objects: read, state } = await repository.verify({ budget: { bytes: 1 }, workers: 0 });
    assert.ok(ok && state.neverBytes < before);
    assert.equal(state.since === undefined, run < packs - 1);
    objects += read;
  }
  assert.equal(objects, 9, 'four chunks, four leaves, and the settings they share');
  const { since } = await (await Repository.open(parts)).verified();
  for (let run = 0; run < packs; run += 1)
    await (await Repository.open(parts)).verify({ budget: { percent: 1 }, workers: 0 });
  const later = await (await Repository.open(parts)).verified();
  assert.ok(later.since! > since!);
  assert.equal((await Array.fromAsync(store.list('verified/'))).length, 1, 'old records go');
});

test('a whole verification is a round; what is written later is counted with the part of the ring it falls into', async () => {
  const { parts } = await manyPacks();
  const { state } = await (await Repository.open(parts)).verify({ workers: 0 });
  assert.ok(state.since !== undefined && state.neverBytes === 0);
  const disk = await diskWith(MiB, [[0, sampleBytes(MiB, 77)]]);
  await backUp(await Repository.open(parts), { reader: disk, extents: disk.allocated() });
  assert.equal((await (await Repository.open(parts)).verified()).since, state.since);
});

test('a budget of time ends, and one of 100 % reads everything', async () => {
  const { parts } = await manyPacks();
  const short = await (await Repository.open(parts)).verify({ budget: { seconds: 1 }, workers: 0 });
  assert.ok(short.state.neverBytes > 0);
  const whole = await (await Repository.open(parts)).verify({ budget: { percent: 100 }, workers: 0 });
  assert.equal(whole.state.neverBytes, 0);
});

test('damage in a pack is found by the budget that comes to it, though no restore point needs the object', async () => {
  const { store, parts } = await manyPacks();
  for await (const { name } of store.list('points/')) await store.delete(name);
  const [{ name, size }] = (await Array.fromAsync(store.list('packs/'))).toSorted(
    (a, b) => b.size - a.size,
  ) as [{ name: string; size: number }];
  store.damage(name, (bytes) => bytes.with(Math.floor(size / 2), bytes[Math.floor(size / 2)]! ^ 1));
  const problems = [];
  for (let run = 0; run < 8; run += 1)
    problems.push(
      ...(await (await Repository.open(parts)).verify({ budget: { bytes: 1 }, workers: 0 })).problems,
    );
  assert.equal(problems.length, 1);
  assert.deepEqual([problems[0]!.affected, problems[0]!.settingsOf], [[], []]);
});

test('no part of the ring that is said to be read has a pack that was not, and no single pack is left out that could be told', () => {
  const anyPack = fc.record({ at: fc.nat({ max: 30 }), isRead: fc.boolean() });
  fc.assert(
    fc.property(fc.array(anyPack, { maxLength: 20 }), (packs) => {
      const arcs = arcsOf(packs);
      for (const { at, isRead } of packs) {
        const isTold = arcs.some(({ from, to }) => from <= at && at < to);
        const isShared = packs.some((each) => each.at === at && !each.isRead);
        assert.equal(isTold, isRead && !isShared);
      }
    }),
  );
});

test('verifying each point by itself verifies every byte, once nothing is left that no point needs', async () => {
  const { parts } = await manyPacks();
  const repository = await Repository.open(parts);
  let never = (await repository.verified()).neverBytes;
  for (const point of await Array.fromAsync(repository.points())) {
    assert.ok(never > 0);
    const { state } = await repository.verify({ point, workers: 0 });
    assert.ok(state.neverBytes < never);
    never = state.neverBytes;
    assert.ok((await (await Repository.open(parts)).verifiedPoints()).has(point.id));
  }
  assert.equal(never, 0);
  assert.ok((await (await Repository.open(parts)).verified()).since !== undefined);
});

test('a point of which something is damaged does not count, nor does a pack whose trailer is', async () => {
  const { store, parts } = await manyPacks();
  const repository = await Repository.open(parts);
  const [point] = await Array.fromAsync(repository.points());
  const before = (await repository.verified()).neverBytes;
  for await (const { name, size } of store.list('packs/'))
    store.damage(name, (bytes) => bytes.with(size - 70, bytes[size - 70]! ^ 1));
  const torn = await repository.verify({ point: point!, workers: 0 });
  assert.deepEqual([torn.ok, torn.state.neverBytes], [true, before]);
  for await (const { name } of store.list('packs/'))
    store.damage(name, (bytes) => bytes.with(200, bytes[200]! ^ 1));
  assert.ok(!(await (await Repository.open(parts)).verify({ point: point!, workers: 0 })).ok);
  const [other] = (await Array.fromAsync(repository.points())).slice(1);
  await repository.verify({ point: other!, workers: 0 });
  assert.deepEqual([...(await repository.verifiedPoints())], [point!.id]);
});
