/** The audit of an increment: what it finds, what it reads, and in how many runs it has seen every byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, KiB, MiB, TiB } from '../base/index.ts';
import { CountingDisk, type Disk, type MemoryDisk } from '../disk/index.ts';
import { totalBytes, type Extent } from '../extents/index.ts';
import type { AuditResult } from './audit.ts';
import { auditBound, audited, nextAudit, samplesOf, slotsOfBudget, type AuditBudget } from './audit-sweep.ts';
import { CELL_BYTES, SLOT_BYTES } from './format.ts';
import type { MapRoot } from './map-root.ts';
import type { Repository } from './repository.ts';
import { backUp, diskWith, openTest, sampleBytes } from './repository.fixture.ts';

async function auditOf(
  repository: Repository,
  disk: { reader: Disk; root: MapRoot; budget?: AuditBudget; reported?: readonly Extent[] },
): Promise<AuditResult> {
  const { reader, root, budget, reported = [] } = disk;
  await using session = await repository.startSession({ workers: 0 });
  const audit = session.openAudit({ reader, root, budget, previous: undefined });
  assert.deepEqual(await Array.fromAsync(audit.watch(reported)), reported);
  return await audit.run();
}

async function backedUp(
  size: number,
  writes: readonly (readonly [number, Uint8Array])[],
): Promise<{
  repository: Repository;
  disk: MemoryDisk;
  root: MapRoot;
}> {
  const repository = await openTest();
  const disk = await diskWith(size, writes);
  const { root } = await backUp(repository, { reader: disk, extents: disk.allocated() });
  return { repository, disk, root };
}

test('an unreported write, an unreported trim and unreported new data are mismatches, each in its cells', async () => {
  const { repository, disk, root } = await backedUp(6 * MiB + 1000, [[0, sampleBytes(2 * MiB, 1)]]);
  await disk.write(3 * CELL_BYTES + 5, Buffer.from('lie'));
  await disk.zero(SLOT_BYTES, 2 * CELL_BYTES);
  await disk.write(6 * MiB + 900, Buffer.from('new'));
  const { mark, mismatches } = await auditOf(repository, { reader: disk, root });
  assert.deepEqual(mismatches, [
    { offset: 3 * CELL_BYTES, length: CELL_BYTES },
    { offset: SLOT_BYTES, length: 2 * CELL_BYTES },
    { offset: 6 * MiB, length: 1000 },
  ]);
  assert.equal(mark.mismatchBytes, totalBytes(mismatches));
});

test('what was reported is not looked at, and what is allocated nowhere is not read', async () => {
  const { repository, disk, root } = await backedUp(8 * MiB, [[0, sampleBytes(MiB, 1)]]);
  await disk.write(4 * MiB + 100, Buffer.from('reported'));
  const reader = new CountingDisk(disk);
  const reported = [{ offset: 4 * MiB + 100, length: 8 }];
  const result = await auditOf(repository, { reader: disk, root, reported });
  assert.deepEqual([result.mismatches, result.readBytes], [[], MiB]);
  assert.equal(result.mark.comparedBytes, 8 * MiB - CELL_BYTES);
  assert.equal(reader.stats.readBytes, 0);
});

test('a budget of zero slots reads nothing and finds nothing', async () => {
  const { repository, disk, root } = await backedUp(2 * MiB, [[0, sampleBytes(MiB, 1)]]);
  await disk.zero(0, MiB);
  const { mark, readBytes } = await auditOf(repository, { reader: disk, root, budget: 'off' });
  assert.deepEqual([mark.count, mark.comparedBytes, readBytes], [0, 0, 0]);
  assert.equal(auditBound(mark), undefined);
});

test('the budget: 0.1 % of the disk or 64 MiB by default, whichever is more, so a round is a thousand runs at most', () => {
  const slots = (size: number, budget?: AuditBudget) => slotsOfBudget(budget, size);
  assert.deepEqual([slots(32 * MiB), slots(GiB), slots(TiB)], [32, 64, 1049]);
  assert.deepEqual(
    [slots(GiB, { bytes: 1 }), slots(GiB, { bytes: 10 * MiB }), slots(GiB, { bytes: TiB })],
    [1, 10, 1024],
  );
  assert.deepEqual(
    [slots(GiB, { percent: 10 }), slots(GiB, { percent: 1e-6 }), slots(64 * KiB, { percent: 50 })],
    [103, 1, 1],
  );
  assert.equal(auditBound({ slots: 2 ** 26, count: slots(64 * TiB) }), 1000);
});

test('of any disk every slot is looked at once in a round, and never later again than the bound says', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 400 }), (slots, wanted) => {
      const count = Math.min(wanted, slots);
      const bound = auditBound({ slots, count })!;
      const lastSeen = new Map<number, number>();
      let mark = nextAudit(undefined, slots * SLOT_BYTES, count);
      for (let run = 0; run < 3 * bound; run += 1) {
        for (const { slot, position } of samplesOf(mark)) {
          assert.ok(audited(mark, mark, position), 'a mark knows what it looked at');
          assert.ok(
            run - (lastSeen.get(slot) ?? run - bound) <= bound,
            `slot ${slot} waited longer than ${bound} runs`,
          );
          lastSeen.set(slot, run);
        }
        if (run === bound - 1) assert.equal(lastSeen.size, slots, 'a round meets every slot');
        mark = nextAudit(mark, slots * SLOT_BYTES, count);
      }
    }),
    { numRuns: 100 },
  );
});

test('a disk of another size begins a new round; a run without an audit leaves the place where the next goes on', () => {
  const first = nextAudit(undefined, GiB, 10);
  const idle = nextAudit(first, GiB, 0);
  const next = nextAudit(idle, GiB, 10);
  assert.deepEqual([next.from, next.stride], [(first.from + 10) % 1024, first.stride]);
  assert.equal(nextAudit(next, 2 * GiB, 10).slots, 2048);
  assert.ok(!audited(first, nextAudit(next, 2 * GiB, 10), first.from));
});
