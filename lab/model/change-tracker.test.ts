import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { endOf, normalise, subtract, totalBytes, type Extent } from '../../src/extents/index.ts';
import { ChangeTracker } from './change-tracker.ts';
import { scratch } from './scratch.fixture.ts';

const SIZE = 1 << 20;
const GRID = { granularityBytes: 4096, regionBytes: 65_536 };

type Step =
  | { readonly do: 'write'; readonly offset: number; readonly length: number }
  | { readonly do: 'seal' | 'reopen' | 'kill' }
  | { readonly do: 'forget'; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      offset: fc.nat(SIZE - 1),
      length: fc.integer({ min: 1, max: 9000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('seal' as const, 'reopen' as const, 'kill' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), which: fc.nat(5) }) },
);

test('tracking never forgets a change since a seal it knows, through restarts, kills and forgotten seals', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      await using temporary = await scratch();
      let path = join(temporary.folder, 'a.vhdx');
      let tracker = await ChangeTracker.open(path, GRID);
      const seals: { id: string; number: number; written: Extent[] }[] = [];
      for (const [index, one] of steps.entries()) {
        if (one.do === 'write') {
          await tracker.record(one.offset, one.length);
          for (const seal of seals) seal.written.push({ offset: one.offset, length: one.length });
        } else if (one.do === 'seal') {
          const number = await tracker.seal();
          seals.push({ id: tracker.idOf(number), number, written: [] });
        } else if (one.do === 'forget' && seals.length > 0) {
          const [gone] = seals.splice(one.which % seals.length, 1);
          await tracker.retain(new Set(seals.map(({ number }) => number)));
          assert.equal(tracker.sealOf(gone!.id), undefined);
        } else if (one.do === 'reopen' || one.do === 'kill') {
          // A killed process leaves its files as they are at that moment: a copy of them.
          if (one.do === 'reopen') await tracker.save();
          const next = join(temporary.folder, `${index}.vhdx`);
          for (const end of ['.rct', '.mrt']) await cp(path + end, next + end).catch(() => {});
          path = next;
          tracker = await ChangeTracker.open(path, GRID);
        }
        for (const { id, written } of seals) {
          const since = tracker.sealOf(id);
          assert.notEqual(since, undefined, `seal ${id} is known`);
          const changes = tracker.changes(since!, undefined, 0, SIZE + GRID.regionBytes)!;
          assert.deepEqual(subtract(normalise(written), changes), []);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('a clean restart answers exactly as before; after a kill whole regions count as changed', async () => {
  await using temporary = await scratch();
  const path = join(temporary.folder, 'a.vhdx');
  const tracker = await ChangeTracker.open(path, GRID);
  const seal = await tracker.seal();
  await tracker.record(70_000, 10);
  const exact = [{ offset: 69_632, length: 4096 }];
  assert.deepEqual(tracker.changes(seal, undefined, 0, SIZE), exact);
  const killed = await ChangeTracker.open(path, GRID);
  assert.deepEqual(killed.changes(seal, undefined, 0, SIZE), [{ offset: 65_536, length: 65_536 }]);
  await tracker.save();
  const restarted = await ChangeTracker.open(path, GRID);
  assert.deepEqual(restarted.changes(seal, undefined, 0, SIZE), exact);
});

test('a file shows changes up to the seal at which it was frozen, and none from before it existed', async () => {
  await using temporary = await scratch();
  const tracker = await ChangeTracker.open(join(temporary.folder, 'a.vhdx'), GRID);
  await tracker.record(0, 4096); // before the first seal nothing is tracked
  const first = await tracker.seal();
  await tracker.record(8192, 4096);
  const second = await tracker.seal();
  await tracker.record(16_384, 4096);
  assert.deepEqual(tracker.changes(first, second, 0, SIZE), [{ offset: 8192, length: 4096 }]);
  assert.deepEqual(tracker.changes(second, second, 0, SIZE), []);
  assert.deepEqual(tracker.changes(first, undefined, 0, SIZE)!.map(endOf), [12_288, 20_480]);
  assert.equal(tracker.changes(second, first, 0, SIZE), undefined);
  assert.match(tracker.idOf(second), /^rctX:[0-9a-f]{8}(:[0-9a-f]{4}){3}:[0-9a-f]{12}:00000002$/);
});

test('a hundred thousand scattered writes stay bounded in memory by over-reporting', async () => {
  await using temporary = await scratch();
  const tracker = await ChangeTracker.open(join(temporary.folder, 'a.vhdx'), {
    granularityBytes: 512,
    regionBytes: 2 ** 40,
  });
  const seal = await tracker.seal();
  for (let i = 0; i < 100_100; i += 1) await tracker.record(i * 4096, 512);
  const changes = tracker.changes(seal, undefined, 0, 2 ** 40)!;
  assert.ok(changes.length <= 100_000, `${changes.length} ranges`);
  assert.ok(totalBytes(changes) >= 100_100 * 512);
});
