/** Folding over a real repository: what is folded, what stays as it is, and what retention and increments make of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode, MiB } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { createMemoryStore, faultyStore, type MemoryStore, type ObjectStore } from '../objectstore/index.ts';
import { createRepository, openRepository, type Repository, type RestorePoint } from '../repository/index.ts';
import { foldPoints } from './fold-points.ts';
import { prunePoints } from './prune.ts';

const SIZE = 4 * MiB;
const CELL = 64 * 1024;

interface Backed {
  readonly point: RestorePoint;
  readonly disk: MemoryDisk;
}

async function newRepository(): Promise<{ store: MemoryStore; repository: Repository }> {
  const store = createMemoryStore();
  const { repository } = await createRepository(store, { encryption: 'none' });
  return { store, repository };
}

/** A full, and `cells` increments of one cell in each slot: so many pieces a slot has more then. */
async function backUp(repository: Repository, vm: string, cells: number, consumer?: string): Promise<Backed> {
  const disk = new MemoryDisk(SIZE);
  let last = await step(repository, { vm, consumer, disk, cell: undefined, base: undefined });
  for (let cell = 1; cell <= cells; cell += 1)
    last = await step(repository, { vm, consumer, disk, cell: (cell * 3) % 16, base: last });
  return { point: last, disk };
}

interface Step {
  readonly vm: string;
  readonly consumer?: string | undefined;
  readonly disk: MemoryDisk;
  /** Of each slot; undefined: all of them. */
  readonly cell: number | undefined;
  readonly base: RestorePoint | undefined;
}

async function step(repository: Repository, { vm, consumer, disk, cell, base }: Step): Promise<RestorePoint> {
  await using session = await repository.startSession({ workers: 0 });
  const slots = Array.from({ length: SIZE / MiB }, (_, slot) => slot);
  const extents = slots.map((slot) =>
    cell === undefined
      ? { offset: slot * MiB, length: MiB }
      : { offset: slot * MiB + cell * CELL, length: CELL },
  );
  for (const { offset, length } of extents)
    await disk.write(offset, Buffer.alloc(length, `${vm} ${cell} ${offset} `));
  const root = base?.disks[0]!.root;
  const request = { reader: disk, extents, size: SIZE, ...(root ? { base: root } : {}) };
  const made = await session.ingestDisk(request);
  const point = await session.commit({
    runId: 'run',
    ...(consumer === undefined ? {} : { consumer }),
    ...(base ? { parent: base.id } : {}),
    vm: {
      id: `${vm}-id`,
      name: vm,
      host: 'HV1',
      configuration: await session.putBlob(Buffer.from('{"notes":[]}')),
    },
    consistency: { asked: 'crash', reached: 'crash' },
    disks: [
      {
        diskId: `disk-of-${vm}`,
        attachment: { controller: 'scsi', controllerNumber: 0, slot: 0 },
        path: `C:\\${vm}.vhdx`,
        size: SIZE,
        logicalSectorSize: 512,
        physicalSectorSize: 4096,
        root: made.root,
        kind: 'delta',
        reason: 'changes-since-reference-point',
        stats: made.stats,
      },
    ],
  });
  return point;
}

async function baseline(repository: Repository, { id, vm, consumer }: RestorePoint): Promise<void> {
  await repository.recordBaseline({
    pointId: id,
    vmId: vm.id,
    ...(consumer === undefined ? {} : { consumer }),
    referencePointId: `reference of ${id}`,
    consistency: 'crash',
    disks: [],
  });
}

async function contentOf(repository: Repository, { disks }: RestorePoint): Promise<Buffer> {
  const bytes = Buffer.alloc(SIZE, 0xa5);
  await repository.openDisk(disks[0]!.root, SIZE).read(0, bytes);
  return bytes;
}

async function bytesOf(disk: MemoryDisk): Promise<Buffer> {
  const bytes = Buffer.alloc(SIZE);
  await disk.read(0, bytes);
  return bytes;
}

test('each VM and consumer has its newest point folded; the next increment is laid over it, and prune drops the old one', async () => {
  const { repository } = await newRepository();
  const web = await backUp(repository, 'web', 9);
  const daily = await backUp(repository, 'web', 8, 'daily');
  const whole = await backUp(repository, 'db', 2);
  for (const { point } of [web, daily, whole]) await baseline(repository, point);
  const { points, warnings } = await foldPoints(repository, { dryRun: false, workers: 0 });
  assert.deepEqual(warnings, []);
  const of = (id: string) => points.find(({ pointId }) => pointId === id)!;
  assert.equal(points.length, 3);
  assert.equal(of(whole.point.id).foldedInto, undefined, 'two pieces are not worth it');
  for (const { point, disk } of [web, daily]) {
    const told = of(point.id);
    assert.deepEqual(
      told.disks.map(({ slots, foldableSlots, foldedSlots }) => ({ slots, foldableSlots, foldedSlots })),
      [{ slots: 4, foldableSlots: 4, foldedSlots: 4 }],
    );
    const folded = await repository.point(told.foldedInto!);
    assert.equal(folded.foldedFrom, point.id);
    assert.equal(folded.parent, point.parent);
    assert.ok((await contentOf(repository, folded)).equals(await bytesOf(disk)));
    const record = (await repository.baselines(point.vm.id)).find(
      ({ consumer }) => consumer === point.consumer,
    );
    assert.equal(record?.pointId, folded.id);
    assert.equal(record.referencePointId, `reference of ${point.id}`);
    const next = await step(repository, {
      vm: 'web',
      consumer: point.consumer,
      disk,
      cell: 15,
      base: folded,
    });
    assert.ok((await contentOf(repository, next)).equals(await bytesOf(disk)));
  }
  const again = await foldPoints(repository, { dryRun: false, workers: 0 });
  assert.ok(
    again.points.every(({ foldedInto }) => foldedInto === undefined),
    'nothing is left to fold',
  );
  const retention = [{ match: '*', keep: { last: 3 } }];
  const pruned = await prunePoints(repository, { retention, dryRun: false });
  for (const { point } of [web, daily]) {
    const left = pruned.points.filter(({ consumer, vm }) => consumer === point.consumer && vm.name === 'web');
    const kept = left.filter(({ keptBy }) => keptBy.length > 0).map(({ pointId }) => pointId);
    assert.equal(kept.length, 3, 'the two count as one');
    assert.ok(kept.includes(of(point.id).foldedInto!) && !kept.includes(point.id));
  }
  assert.deepEqual((await repository.verify({ workers: 0 })).problems, []);
});

test('a dry run says what a fold would do, and writes nothing', async () => {
  const { store, repository } = await newRepository();
  await backUp(repository, 'web', 9);
  const before = await Array.fromAsync(store.list(''));
  const dry = await foldPoints(repository, { dryRun: true });
  assert.deepEqual(await Array.fromAsync(store.list('')), before);
  const [{ slots, pieces, savedPieces, foldableSlots, foldableBytes }] = dry.points[0]!.disks as [
    (typeof dry.points)[0]['disks'][0],
  ];
  assert.deepEqual([slots, foldableSlots, foldableBytes, pieces - savedPieces], [4, 4, SIZE, 4]);
  assert.ok(pieces > 4 * 8);
});

test('a budget is that of all VMs together, and the next run goes on', async () => {
  const { repository } = await newRepository();
  for (const vm of ['a', 'b']) await backUp(repository, vm, 9);
  const folded: number[] = [];
  for (let run = 0; run < 4; run += 1) {
    const { points } = await foldPoints(repository, { dryRun: false, workers: 0, bytesMax: 3 * MiB });
    folded.push(points.flatMap(({ disks }) => disks).reduce((sum, disk) => sum + disk.foldedSlots, 0));
  }
  assert.deepEqual(folded, [3, 3, 2, 0]);
});

test('a VM at work is left alone with a warning, and the others are folded; a name that no VM has is refused', async () => {
  const { store, repository } = await newRepository();
  for (const vm of ['a', 'b']) await backUp(repository, vm, 9);
  const other = await openRepository(store, {});
  await using _lease = await other.lockVm('a-id');
  const { points, warnings } = await foldPoints(repository, { dryRun: false, workers: 0 });
  assert.deepEqual(
    points.map(({ vm, foldedInto }) => [vm.name, foldedInto !== undefined]),
    [['b', true]],
  );
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ['FLOW_VM_NOT_FOLDED'],
  );
  await assert.rejects(foldPoints(repository, { dryRun: true, vm: 'c' }), (error) =>
    hasCode(error, 'FLOW_NO_POINTS_OF'),
  );
});

test('a held point stays beside its fold, and one that was verified until the fold is', async () => {
  const { repository } = await newRepository();
  const { point } = await backUp(repository, 'web', 9);
  assert.ok((await repository.verify({ point, workers: 0 })).ok);
  await foldPoints(repository, { dryRun: false, workers: 0 });
  const retention = [{ match: '*', keep: { last: 1, minGood: 1 } }];
  const keptBy = async (id: string) => {
    const { points } = await prunePoints(repository, { retention, dryRun: true });
    return points.find(({ pointId }) => pointId === id)!.keptBy;
  };
  assert.deepEqual(await keptBy(point.id), ['min-verified']);
  const [folded] = await Array.fromAsync(repository.points());
  assert.equal(folded!.foldedFrom, point.id);
  assert.ok((await repository.verify({ point: folded!, workers: 0 })).ok);
  assert.deepEqual(await keptBy(point.id), []);
  await repository.pin(point, 'case 17');
  assert.deepEqual(await keptBy(point.id), ['pinned']);
});

test('a run that dies at any call that writes leaves a baseline that stands, and the next run folds', async () => {
  let died = 0;
  for (let step = 1, done = false; !done; step += 1) {
    const { store, repository } = await newRepository();
    const { point, disk } = await backUp(repository, 'web', 8);
    await baseline(repository, point);
    done = await foldPoints(await openRepository(dyingAt(step, store), {}), {
      dryRun: false,
      workers: 0,
    }).then(
      () => true,
      () => false,
    );
    died += done ? 0 : 1;
    store.crash();
    const next = await openRepository(store, {});
    const points = await Array.fromAsync(next.points());
    for (const each of points.filter(({ foldedFrom }) => foldedFrom !== undefined))
      assert.ok((await contentOf(next, each)).equals(await bytesOf(disk)));
    const [record] = await next.baselines('web-id');
    assert.equal(record?.referencePointId, `reference of ${point.id}`, `step ${step}`);
    const base = await next.point(record.pointId);
    assert.ok([base.id, base.foldedFrom].includes(point.id));
    await foldPoints(next, { dryRun: false, workers: 0 });
    const [newest] = await Array.fromAsync(next.points());
    assert.equal(newest!.foldedFrom, point.id);
  }
  assert.ok(died >= 5, `${died} deaths`);
});

function dyingAt(step: number, store: ObjectStore): ObjectStore {
  let writes = 0;
  return faultyStore(store, {
    before: ({ method }) => {
      if (method !== 'getRange' && method !== 'stat' && method !== 'list') writes += 1;
      if (writes >= step) throw new Error('the process is dead');
    },
  });
}
