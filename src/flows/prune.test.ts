/** Pruning over a real repository: what goes, what never does, and what a run under way keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { createMemoryStore, type MemoryStore } from '../objectstore/index.ts';
import { createRepository, type Repository, type RestorePoint } from '../repository/index.ts';
import { prunePoints, type PruneRecord } from './prune.ts';

const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 0, 5, 20);

interface Made {
  readonly store: MemoryStore;
  readonly repository: Repository;
  readonly points: readonly RestorePoint[];
}

interface Draft {
  readonly vm?: string;
  readonly consumer?: string;
  readonly suspects?: (points: readonly RestorePoint[]) => string[];
  readonly notes?: string;
  /** Everything is read back half a day later. */
  readonly verified?: boolean;
}

/** One point a day, each of a disk without content. */
async function withPoints(drafts: readonly Draft[]): Promise<Made> {
  let day = -1;
  const store = createMemoryStore();
  const now = () => new Date(START + day * DAY_MS);
  const { repository } = await createRepository(store, { encryption: 'none', now });
  const points: RestorePoint[] = [];
  for (const draft of drafts) {
    day += 1;
    points.push(await commit(repository, draft, points));
    if (!draft.verified) continue;
    day += 0.5;
    await repository.verify({ workers: 0 });
  }
  return { store, repository, points };
}

async function commit(
  repository: Repository,
  draft: Draft,
  points: readonly RestorePoint[],
): Promise<RestorePoint> {
  const { vm = 'web', consumer, suspects, notes } = draft;
  await using session = await repository.startSession({ workers: 0 });
  const settings = { notes: notes === undefined ? [] : [notes] };
  const suspectPoints = suspects?.(points) ?? [];
  return await session.commit({
    runId: 'run',
    ...(consumer === undefined ? {} : { consumer }),
    vm: {
      id: `${vm}-id`,
      name: vm,
      host: 'HV1',
      configuration: await session.putBlob(Buffer.from(JSON.stringify(settings))),
    },
    consistency: { asked: 'crash', reached: 'crash' },
    disks: [
      {
        diskId: 'd',
        attachment: {},
        path: 'C:\\d.vhdx',
        size: 2 ** 20,
        logicalSectorSize: 512,
        physicalSectorSize: 4096,
        root: { id: null, levels: 1 },
        kind: 'full',
        reason: 'first-backup',
        ...(suspectPoints.length > 0 ? { suspectPoints } : {}),
      },
    ],
  });
}

const keep = (policy: object, match = '*') => [{ match, keep: policy }];

function prune(repository: Repository, policy: object, dryRun = false): Promise<PruneRecord> {
  return prunePoints(repository, { retention: keep({ minGood: 0, ...policy }), dryRun });
}

async function idsIn(repository: Repository): Promise<Set<string>> {
  return new Set((await Array.fromAsync(repository.points())).map(({ id }) => id));
}

test('a dry run names the rule of each point and drops none; the run drops exactly what it named', async () => {
  const { repository, points } = await withPoints(Array.from({ length: 9 }, () => ({})));
  const planned = await prune(repository, { last: 2, weekly: 2 }, true);
  assert.deepEqual(
    planned.points.map(({ keptBy }) => keptBy),
    [['newest', 'last', 'weekly'], ['last'], ['weekly'], [], [], [], [], [], []],
  );
  assert.equal((await idsIn(repository)).size, points.length);
  const done = await prune(repository, { last: 2, weekly: 2 });
  assert.deepEqual(done.points, planned.points);
  const kept = planned.points.filter(({ keptBy }) => keptBy.length > 0).map(({ pointId }) => pointId);
  assert.deepEqual(await idsIn(repository), new Set(kept));
});

test('a point that is held stays, until it is let go', async () => {
  const { repository, points } = await withPoints([{}, {}, {}]);
  await repository.pin(points[0]!, 'case 17');
  await repository.pin(points[0]!, 'another reason');
  const done = await prune(repository, { last: 1 });
  assert.deepEqual(
    done.points.map(({ pin, keptBy }) => [pin, keptBy]),
    [
      [undefined, ['newest', 'last']],
      [undefined, []],
      ['case 17', ['pinned']],
    ],
  );
  assert.equal(await repository.unpin(points[0]!), true);
  assert.equal((await prune(repository, { last: 1 })).dropped, 1);
});

test('the point of a baseline stays, and so does the newest of each consumer', async () => {
  const { repository, points } = await withPoints([{}, { consumer: 'b' }, {}, { consumer: 'b' }, {}]);
  await repository.recordBaseline({
    pointId: points[0]!.id,
    vmId: 'web-id',
    referencePointId: 'r',
    consistency: 'crash',
    disks: [],
  });
  await prune(repository, { last: 1 });
  assert.deepEqual(await idsIn(repository), new Set([0, 3, 4].map((index) => points[index]!.id)));
});

test('suspect points do not count as good: the last good one stays behind them', async () => {
  const suspects = (points: readonly RestorePoint[]) => points.slice(1).map(({ id }) => id);
  const { repository, points } = await withPoints([{}, {}, {}, { suspects }, { suspects: () => [] }]);
  const { points: seen } = await prunePoints(repository, {
    retention: keep({ last: 1, minGood: 3 }),
    dryRun: true,
  });
  const kept = seen.filter(({ keptBy }) => keptBy.length > 0).map(({ pointId }) => pointId);
  assert.deepEqual(new Set(kept), new Set([0, 3, 4].map((index) => points[index]!.id)));
});

test('without a policy for a VM all of its points stay; the first that means it counts, tags included', async () => {
  const drafts = ['web', 'sql', 'lab'].flatMap((vm) => [
    { vm, notes: vm === 'lab' ? '#hvlift:lab' : 'none' },
    { vm, notes: vm === 'lab' ? '#hvlift:lab' : 'none' },
    { vm, notes: vm === 'lab' ? '#hvlift:lab' : 'none' },
  ]);
  const { repository } = await withPoints(drafts);
  const retention = [
    ...keep({ last: 1, minGood: 0 }, '#lab'),
    ...keep({}, 'sql'),
    ...keep({ last: 2, minGood: 0 }, 's*'),
  ];
  const done = await prunePoints(repository, { retention, dryRun: false });
  const count = (vm: string) =>
    done.points.filter((point) => point.vm.name === vm && point.keptBy.length > 0).length;
  assert.deepEqual(['web', 'sql', 'lab'].map(count), [3, 2, 1]);
});

test('a VM that is being backed up is left alone, the others are pruned', async () => {
  const { repository } = await withPoints([{}, {}, { vm: 'sql' }, { vm: 'sql' }]);
  await using lease = await repository.lockVm('web-id');
  const done = await prune(repository, { last: 1 });
  await lease.release();
  assert.deepEqual(done.points.map(({ vm, keptBy }) => `${vm.name} ${keptBy.join()}`).toSorted(), [
    'sql ',
    'sql newest,last',
    'web busy',
    'web newest,last',
  ]);
  assert.deepEqual(
    done.warnings.map(({ code }) => code),
    ['FLOW_VM_NOT_PRUNED'],
  );
});

test('one run of pruning at a time, and nothing is held while it runs', async () => {
  const { repository, points } = await withPoints([{}, {}]);
  await using _lease = await repository.lockPruning();
  const busy = (error: unknown): boolean => hasCode(error, 'REPO_PRUNE_BUSY');
  await assert.rejects(prune(repository, { last: 1 }), busy);
  await assert.rejects(repository.pin(points[0]!, 'late'), busy);
  assert.equal((await prune(repository, { last: 1 }, true)).dropped, 1, 'a dry run disturbs nobody');
});

test('a damaged manifest hides nothing, and is not dropped', async () => {
  const { store, repository, points } = await withPoints([{}, {}, {}, {}]);
  for await (const { name } of store.list('points/'))
    if (name.endsWith(points[1]!.id)) store.damage(name, (bytes) => bytes.subarray(0, 60));
  const done = await prune(repository, { last: 1 });
  assert.deepEqual([done.dropped, done.warnings.length], [2, 1]);
  assert.equal((await Array.fromAsync(store.list('points/'))).length, 2);
});

test('the newest points that were read back stay, until newer ones have been', async () => {
  const drafts = [{}, {}, { verified: true }, {}, {}, {}];
  const { repository, points } = await withPoints(drafts);
  const kept = async (): Promise<(readonly string[])[]> =>
    (await prune(repository, { last: 1, minGood: 2 }, true)).points.map(({ keptBy }) => keptBy);
  assert.deepEqual(await kept(), [
    ['newest', 'last'],
    ['min-good'],
    [],
    ['min-verified'],
    ['min-verified'],
    [],
  ]);
  await prune(repository, { last: 1, minGood: 2 });
  assert.deepEqual(await idsIn(repository), new Set([5, 4, 2, 1].map((n) => points[n]!.id)));
});
