/** Replicas that go through a repository: what a cycle and a roll cost, and what is there when they are cut. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GiB, KiB, MiB, TiB } from '../base/index.ts';
import { hypervFaults } from '../hyperv/index.ts';
import { repositoryFaults, type Repository, type RestorePoint } from '../repository/index.ts';
import { openTest } from '../repository/repository.fixture.ts';
import { CutoverWorld } from './cutover-world.fixture.ts';
import { ReplicaWorld, someOf } from './replica-world.fixture.ts';
import { MemoryTarget } from './replicate-world.fixture.ts';
import { rollReplica, type RollRecord } from './replicate-roll.ts';
import { Replica, type ReplicaState } from './replicate-state.ts';
import { replicateVia, type ViaDeps, type ViaRequest } from './replicate-via.ts';
import type { ReplicateRecord } from './replicate.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-replica-via-'));
after(() => rm(folder, { recursive: true }));
let worlds = 0;
const SIZES = [3 * MiB + 512, MiB];

class World extends ReplicaWorld<MemoryTarget> {
  readonly repository: Repository;

  private constructor(repository: Repository, sizes: readonly number[]) {
    super({
      stateFolder: join(folder, String((worlds += 1))),
      sizes,
      target: (fate) => new MemoryTarget(fate),
      lose: (target, cut) => target.lose(someOf(cut)),
    });
    this.repository = repository;
  }

  static async open(sizes: readonly number[] = SIZES): Promise<World> {
    return new World(await openTest(undefined, false), sizes);
  }

  via(
    request: Partial<ViaRequest> = {},
    destroyReferencePoint: ViaDeps['destroyReferencePoint'] = async ({ instanceId }) =>
      void this.vm.referencePoints.delete(instanceId),
  ): Promise<ReplicateRecord> {
    const { vm, repository, target, stateFolder } = this;
    const resolveVm = async () => vm.vm;
    const deps = { source: vm, repository, resolveVm, destroyReferencePoint };
    return this.steps(() => replicateVia(deps, { vm: 'web01', target, stateFolder, workers: 0, ...request }));
  }

  /** One after the other, the VM written to before each. */
  async cycles(count: number): Promise<ReplicateRecord[]> {
    const records: ReplicateRecord[] = [];
    for (let cycle = 0; cycle < count; cycle += 1) {
      await this.write();
      records.push(await this.via());
    }
    return records;
  }

  async roll(pointId: string): Promise<RollRecord> {
    const { repository, target, stateFolder, vm } = this;
    const point = await repository.point(pointId);
    const replica = { state: { vm: vm.vm, target: target.address } as ReplicaState };
    const to = { kind: 'point', repository, point } as const;
    return this.steps(() => rollReplica({ replica, stateFolder, target, to, workers: 0 }));
  }

  /** By the maps of both: what a roll between them has to read. */
  async differenceOf(before: string, after: string): Promise<number> {
    const [from, to] = [await this.repository.point(before), await this.repository.point(after)];
    let bytes = 0;
    for (const disk of to.disks) {
      const earlier = from.disks.find(({ diskId }) => diskId === disk.diskId);
      for await (const { length } of this.repository.changes(earlier?.root, disk.root, disk.size))
        bytes += length;
    }
    return bytes;
  }
}

const sum = (
  { disks }: Pick<ReplicateRecord, 'disks'>,
  of: 'readBytes' | 'writtenBytes' | 'zeroedBytes',
): number => disks.reduce((total, disk) => total + disk[of], 0);
const kindsOf = ({ disks }: Pick<ReplicateRecord, 'disks'>): string[] => [
  ...new Set(disks.map(({ kind }) => kind)),
];

test('each cycle is a restore point, and the target gets what differs from the one it holds, nothing else', async () => {
  const world = await World.open();
  const [seed] = await world.cycles(1);
  assert.deepEqual(kindsOf(seed!), ['full']);
  await world.assertIs(await world.settled());
  let before = seed!.point!.id;
  for (const record of await world.cycles(3)) {
    const { id } = record.point!;
    assert.deepEqual([kindsOf(record), record.warnings], [['delta'], []]);
    assert.equal(sum(record, 'readBytes'), await world.differenceOf(before, id));
    assert.equal(sum(record, 'writtenBytes') + sum(record, 'zeroedBytes'), sum(record, 'readBytes'));
    before = id;
  }
  const state = await world.settled();
  await world.assertIs(state);
  assert.deepEqual(state.generation!.point, { repository: world.repository.id, id: before });
  assert.equal((await Array.fromAsync(world.repository.points())).length, 4);
  assert.equal(world.vm.referencePoints.size, 1, 'that of the repository, and none of the replica');
});

test('a replica is rolled to any of its restore points; of the repository and the target only what differs is touched', async () => {
  const world = await World.open();
  const records = await world.cycles(5);
  let at = records.at(-1)!.point!.id;
  for (const index of [0, 4, 2, 3, 1, 1]) {
    const { id } = records[index]!.point!;
    const differs = await world.differenceOf(at, id);
    world.target.bytes = { read: 0, written: 0, zeroed: 0 };
    const rolled = await world.roll(id);
    assert.deepEqual([kindsOf(rolled), rolled.point, rolled.warnings], [['delta'], id, []]);
    assert.equal(sum(rolled, 'readBytes'), differs);
    const { read, written, zeroed } = world.target.bytes;
    assert.deepEqual([read, written + zeroed], [0, differs]);
    const state = await world.settled();
    assert.equal(state.generation!.runId, records[index]!.runId);
    await world.assertIs(state);
    at = id;
  }
  assert.equal((await world.settled()).generation!.number, 11, 'numbers only grow');
  const [next] = await world.cycles(1);
  assert.deepEqual(kindsOf(next!), ['delta'], 'on from there by the maps');
  assert.equal(sum(next!, 'readBytes'), await world.differenceOf(at, next!.point!.id));
  await world.assertIs(await world.settled());
});

test('a roll costs the same on a disk of 64 GiB and one of 64 TiB', async () => {
  const costs: unknown[] = [];
  for (const size of [64 * GiB, 64 * TiB]) {
    const world = await World.open([size]);
    const touch = async (fill: number): Promise<string> => {
      for (let at = 1; at <= 5; at += 1)
        await world.vm.write(0, (size / 8) * at, Buffer.alloc(64 * KiB, fill + at));
      return (await world.via()).point!.id;
    };
    const [first] = [await touch(1), await touch(10)];
    world.target.bytes = { read: 0, written: 0, zeroed: 0 };
    world.fate.startOver();
    const rolled = await world.roll(first);
    costs.push({ steps: world.fate.steps, target: world.target.bytes, read: sum(rolled, 'readBytes') });
    assert.equal(sum(rolled, 'readBytes'), 5 * 64 * KiB);
  }
  assert.deepEqual(costs[0], costs[1]);
});

test('a roll cut at every step and every write of the target leaves one of both moments whole, and is gone on with by what differs', async (t) => {
  const world = await World.open();
  const [first, second] = (await world.cycles(2)).map(({ point }) => point!.id) as [string, string];
  const cuts: { step: string; rolled: boolean }[] = [];
  for (let dieAt = 0; ; dieAt += 1) {
    const step = await world.killedAt(dieAt, () => world.roll(first));
    const state = await world.settled();
    await world.assertIs(state);
    if (step === undefined) break;
    const { id } = state.generation!.point!;
    assert.ok([first, second].includes(id), `cut at ${step}`);
    cuts.push({ step, rolled: id === first });
    // To the other moment, and to where the next cut begins: without a seed, whatever was cut.
    for (const point of id === first ? [second] : [first, second]) {
      const rolled = await world.roll(point);
      assert.deepEqual(kindsOf(rolled), ['delta'], `cut at ${step}`);
    }
    await world.assertIs(await world.settled());
  }
  t.diagnostic(`cut at ${cuts.length} steps`);
  const commit = cuts.findIndex(({ rolled }) => rolled);
  assert.ok(
    cuts.slice(commit).every(({ rolled }) => rolled),
    'what is committed stays so',
  );
  const steps = cuts.map(({ step }) => step);
  assert.ok(!steps.slice(0, commit).some((step) => ['write', 'zero'].includes(step)));
  for (const name of ['write', 'zero', 'flush', 'after save']) assert.ok(steps.includes(name), name);
});

test('a cycle through a repository cut at every step leaves a whole generation, and goes on by what differs', async (t) => {
  const world = await World.open([MiB + 512]);
  await world.cycles(1);
  let cuts = 0;
  for (let dieAt = 0; ; dieAt += 1) {
    await world.write();
    const step = await world.killedAt(dieAt, () => world.via());
    if (step === undefined) break;
    cuts += 1;
    const state = await world.settled();
    await world.assertIs(state);
    const [next] = await world.cycles(1);
    assert.deepEqual(kindsOf(next!), ['delta'], `cut at ${step}`);
    assert.equal(next!.generation, state.generation!.number + 1);
    await world.assertIs(await world.settled());
  }
  t.diagnostic(`cut at ${cuts} steps`);
  assert.ok(cuts >= 20, String(cuts));
});

test('a replica fed by the host is rolled by a compare; its marks are given up, and the next cycle compares, never trusts them', async () => {
  const world = await World.open();
  const [point] = await world.cycles(1);
  await world.write();
  const direct = await world.cycle();
  assert.deepEqual(kindsOf(direct), ['compare'], 'the host has no mark of the replica yet');
  await world.write();
  assert.deepEqual(kindsOf(await world.cycle()), ['delta']);
  assert.equal(world.vm.referencePoints.size, 2);

  const rolled = await world.roll(point!.point!.id);
  assert.deepEqual(
    rolled.disks.map(({ kind, reason }) => [kind, reason]),
    SIZES.map(() => ['compare', 'no-restore-point']),
  );
  const state = await world.settled();
  await world.assertIs(state);
  assert.deepEqual([state.baselines.length, state.outdated!.length], [0, 1]);
  // Nothing is written: changes since the mark would be none, and the older content would stay.
  const back = await world.cycle();
  assert.deepEqual(kindsOf(back), ['compare']);
  await world.assertIs(await world.settled());
  assert.equal(world.vm.referencePoints.size, 2, 'the older mark is destroyed with the next one');
  assert.deepEqual(kindsOf(await world.cycle()), ['delta']);

  const away = hypervFaults.effectMissing({ what: 'answer', seconds: 1 });
  await world.write();
  const kept = await world.via({}, () => Promise.reject(away));
  assert.deepEqual(
    kept.warnings.map(({ code }) => code),
    ['REPLICA_MARK_STAYS'],
  );
  assert.equal(world.vm.referencePoints.size, 2);
  await world.cycles(1);
  assert.equal(world.vm.referencePoints.size, 1, 'through the repository none is needed');
  const { baselines, outdated } = await world.settled();
  assert.deepEqual([baselines, outdated], [[], []]);
});

test('a restore point that is gone, or whose map is damaged, costs a compare; one of another VM is refused', async () => {
  const world = await World.open();
  const [first, second] = await world.cycles(2);
  const held = await world.repository.point(second!.point!.id);
  await world.repository.dropPoint(held);
  const rolled = await world.roll(first!.point!.id);
  assert.deepEqual(
    rolled.disks.map(({ reason }) => reason),
    SIZES.map(() => 'no-restore-point'),
  );
  await world.assertIs(await world.settled());
  const changes = world.repository.changes.bind(world.repository);
  const damaged = repositoryFaults.objectMissing({ id: '00', kind: 'meta' });
  const next = (): Promise<never> => Promise.reject(damaged);
  world.repository.changes = () => ({ [Symbol.asyncIterator]: () => ({ next }) });
  const [unread] = await world.cycles(1);
  assert.deepEqual(
    unread!.disks.map(({ kind, reason }) => [kind, reason]),
    SIZES.map(() => ['compare', 'base-damaged']),
  );
  await world.assertIs(await world.settled());
  world.repository.changes = changes;
  const before = await world.settled();
  const other = { ...(await world.repository.point(first!.point!.id)) } as RestorePoint;
  const stranger = { ...other, vm: { ...other.vm, id: 'another', name: 'db01' } };
  const { repository, target, stateFolder } = world;
  const to = { kind: 'point', repository, point: stranger } as const;
  await assert.rejects(rollReplica({ replica: { state: before }, stateFolder, target, to }), {
    code: 'REPLICA_OTHER_VM',
  });
  assert.deepEqual(await world.settled(), before);
});

test('a target that is gone is told of before the host is asked, and so is another run of the replica', async () => {
  const world = await World.open();
  await world.cycles(2);
  const target = new MemoryTarget(world.fate);
  const captures = world.vm.truth.size;
  await assert.rejects(world.via({ target }), /gone/);
  assert.equal(world.vm.truth.size, captures, 'the VM was not touched');
  assert.equal((await Array.fromAsync(world.repository.points())).length, 2);
  const { vm, stateFolder } = world;
  await using _other = await Replica.hold(stateFolder, { vm: vm.vm, target: world.target.address });
  await assert.rejects(world.via(), { code: 'REPLICA_BUSY' });
});

test('a replica that goes through a repository is cut over as any other, its last delta from a mark of its own; meanwhile it is not rolled', async () => {
  const it = await CutoverWorld.open(join(folder, String((worlds += 1))), [MiB + 512, 256 * KiB]);
  const { vm, target, stateFolder } = it;
  const repository = await openTest(undefined, false);
  const deps = {
    source: vm,
    repository,
    resolveVm: async () => vm.vm,
    destroyReferencePoint: async ({ instanceId }: { instanceId: string }) =>
      void vm.referencePoints.delete(instanceId),
  };
  const via = (): Promise<ReplicateRecord> =>
    replicateVia(deps, { vm: 'web01', target, stateFolder, workers: 0 });
  await via();
  await it.writes();
  const { point } = await via();
  const healthy = await it.cutOver({});
  assert.equal(healthy.step, 'healthy');
  assert.ok(healthy.final!.readBytes < 128 * KiB, `${healthy.final!.readBytes} bytes while it was off`);
  const to = { kind: 'point', repository, point: await repository.point(point!.id) } as const;
  const replica = await it.replica();
  await assert.rejects(rollReplica({ replica, stateFolder, target, to }), { code: 'CUTOVER_OPEN' });
  await assert.rejects(via(), { code: 'CUTOVER_OPEN' });
  assert.equal((await it.resume({ commit: true })).step, 'committed');
  assert.deepEqual([it.watch.violations, vm.referencePoints.size], [[], 1], 'that of the repository');
});
