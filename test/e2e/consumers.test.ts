/**
 * Several consumers of one VM: two policies and the unnamed one in a repository, and one in another repository. Each goes on
 * with its own increments, whatever becomes of the others.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { backupVm, restorePoint, type BackupRecord } from '../../src/flows/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository, type Repository } from '../../src/repository/index.ts';
import { openLabStack, type LabStack } from './lab-stack.fixture.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-consumers-'));
after(() => rm(folder, { recursive: true }));

interface Consumer {
  readonly repository: Repository;
  readonly name?: string;
}

async function newRepository(name: string): Promise<Repository> {
  const store = await openDirectoryStore(join(folder, name), { create: true });
  return (await createRepository(store, { encryption: 'none' })).repository;
}

/** A VM and its consumers. Each write of the guest is at another place, so that no increment is like another. */
class World implements AsyncDisposable {
  readonly stack: LabStack;
  readonly vmId: string;
  #writes = 0;

  private constructor(stack: LabStack, vmId: string) {
    this.stack = stack;
    this.vmId = vmId;
  }

  static async open(): Promise<World> {
    const stack = await openLabStack();
    const { id } = await stack.lab.createVm({ name: 'sql01', disks: [{ size: 16 * MiB }] });
    const world = new World(stack, id);
    await world.write();
    return world;
  }

  async write(): Promise<void> {
    this.#writes += 1;
    const offset = ((this.#writes * 37) % 200) * 64 * KiB;
    await this.stack.lab.guestWrite(this.vmId, { offset, length: 64 * KiB, seed: this.#writes });
  }

  backup({ repository, name }: Consumer): Promise<BackupRecord> {
    const { source, hyperv } = this.stack;
    const resolveVm: typeof hyperv.vm = (vm, options) => hyperv.vm(vm, options);
    return backupVm(
      { source, repository, resolveVm },
      { vm: 'sql01', consumer: name, workers: 0, audit: 'off' },
    );
  }

  async referencePoints(): Promise<string[]> {
    const points = await this.stack.hyperv.referencePoints(this.vmId.toLowerCase());
    return points.map(({ instanceId }) => instanceId).toSorted();
  }

  async markOf({ repository, name }: Consumer): Promise<string[]> {
    const recorded = await repository.baselines(this.vmId.toLowerCase());
    return recorded.filter(({ consumer }) => consumer === name).map((each) => each.referencePointId);
  }

  /** The newest seal is that of the run. */
  async assertExact({ repository }: Consumer, { pointId }: BackupRecord): Promise<void> {
    const to = join(folder, `restore-${pointId}`);
    const { disks } = await restorePoint(repository, {
      point: await repository.point(pointId),
      folder: to,
      format: 'raw',
    });
    const seal = (await this.stack.lab.seals(this.vmId)).at(-1)!;
    for (const disk of disks)
      assert.equal(await this.stack.lab.compareImage(seal.id, disk.diskId, disk.path), null);
    await rm(to, { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack[Symbol.asyncDispose]();
  }
}

test('three consumers in two repositories take increments in turn, and each keeps its own mark', async () => {
  await using world = await World.open();
  const [one, two] = [await newRepository('one'), await newRepository('two')];
  const consumers: Consumer[] = [
    { repository: one },
    { repository: one, name: 'weekly' },
    { repository: two, name: 'weekly' },
  ];
  const marks = new Map<Consumer, string>();
  for (let round = 0; round < 4; round += 1) {
    // In another order each time: nobody's increment may depend on who came before.
    for (let turn = 0; turn < consumers.length; turn += 1) {
      const consumer = consumers[(turn * 2 + round) % 3]!;
      await world.write();
      const record = await world.backup(consumer);
      assert.equal(record.outcome, 'ok', record.warnings.map(({ message }) => message).join('; '));
      assert.equal(record.consumer, consumer.name);
      if (round > 0) {
        assert.equal(record.disks[0]!.kind, 'delta', `round ${round}: ${record.disks[0]!.reason}`);
        assert.ok(record.disks[0]!.readBytes <= 5 * 64 * KiB, 'it reads what changed since its own last run');
      }
      const [mark, ...others] = await world.markOf(consumer);
      assert.deepEqual(others, []);
      assert.notEqual(mark, marks.get(consumer));
      marks.set(consumer, mark!);
      assert.deepEqual(await world.referencePoints(), [...marks.values()].toSorted());
      if (round === 3) await world.assertExact(consumer, record);
    }
  }
  assert.deepEqual(await world.stack.hyperv.checkpoints(world.vmId.toLowerCase()), []);
});

test('a run cut off between its conversion and its record costs its consumer nothing, and the others neither', async () => {
  await using world = await World.open();
  const repository = await newRepository('cut');
  const [daily, weekly]: [Consumer, Consumer] = [
    { repository, name: 'daily' },
    { repository, name: 'weekly' },
  ];
  for (const consumer of [daily, weekly]) await world.backup(consumer);
  const before = [await world.markOf(daily), await world.markOf(weekly)];
  await world.write();
  await withoutRecording(repository, async () => {
    const cut = await world.backup(daily);
    assert.deepEqual(
      cut.warnings.map(({ code }) => code),
      ['FLOW_BASELINE_NOT_ADOPTED'],
    );
  });
  assert.equal((await world.referencePoints()).length, 3, 'a mark that nobody recorded');
  // The other consumer cleans up after it: what is unrecorded goes, what is recorded stays, whoever recorded it.
  for (const consumer of [weekly, daily]) {
    await world.write();
    const record = await world.backup(consumer);
    assert.equal(record.disks[0]!.kind, 'delta', record.disks[0]!.reason);
    await world.assertExact(consumer, record);
  }
  assert.deepEqual(
    await world.referencePoints(),
    [...(await world.markOf(daily)), ...(await world.markOf(weekly))].toSorted(),
  );
  assert.notDeepEqual([await world.markOf(daily), await world.markOf(weekly)], before);
});

test('a checkpoint that a killed run of one consumer left is removed by the next run of another', async () => {
  await using world = await World.open();
  const repository = await newRepository('left');
  const weekly: Consumer = { repository, name: 'weekly' };
  await world.backup(weekly);
  const vmId = world.vmId.toLowerCase();
  const name = `hvlift ${repository.id.slice(0, 8)}.daily 00000000-0000-4000-8000-000000000001`;
  await world.stack.hyperv.createRecoveryCheckpoint(vmId, { consistency: 'crash', name });
  await world.write();
  const record = await world.backup(weekly);
  assert.equal(record.disks[0]!.kind, 'delta');
  assert.deepEqual(await world.stack.hyperv.checkpoints(vmId), []);
});

test('a checkpoint of another repository is not ours to remove: the run refuses, and the mark of that repository stays', async () => {
  await using world = await World.open();
  const [one, two] = [await newRepository('mine'), await newRepository('theirs')];
  await world.backup({ repository: two });
  const marks = await world.referencePoints();
  const vmId = world.vmId.toLowerCase();
  const name = `hvlift ${two.id.slice(0, 8)}.daily 00000000-0000-4000-8000-000000000001`;
  const checkpoint = await world.stack.hyperv.createRecoveryCheckpoint(vmId, { consistency: 'crash', name });
  await assert.rejects(world.backup({ repository: one }), { code: 'CAPTURE_FOREIGN_CHECKPOINT' });
  assert.deepEqual(
    (await world.stack.hyperv.checkpoints(vmId)).map(({ instanceId }) => instanceId),
    [checkpoint.instanceId],
  );
  assert.deepEqual(await world.referencePoints(), marks);
});

/** The repository fails at the moment a run would record its new baseline, as when the program is killed there. */
async function withoutRecording(repository: Repository, work: () => Promise<void>): Promise<void> {
  const replaced = repository as { recordBaseline?: unknown };
  replaced.recordBaseline = async () => {
    throw new Error('killed');
  };
  try {
    await work();
  } finally {
    delete replaced.recordBaseline;
  }
}
