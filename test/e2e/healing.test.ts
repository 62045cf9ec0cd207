/** Damage in a repository is mended by the next scheduled backup, as far as the VM still has what was damaged. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { backupVm, restorePoint, type BackupRecord } from '../../src/flows/index.ts';
import { createMemoryStore, type MemoryStore } from '../../src/objectstore/index.ts';
import { createRepository, openRepository, type Repository } from '../../src/repository/index.ts';
import { openLabStack, type LabStack } from './lab-stack.fixture.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-healing-'));
after(() => rm(folder, { recursive: true }));

interface Rig {
  readonly stack: LabStack;
  readonly store: MemoryStore;
  readonly vm: string;
  readonly disk: string;
}

/** A VM of which a full and an increment were made. */
async function rig(): Promise<Rig & AsyncDisposable> {
  const stack = await openLabStack();
  try {
    const store = createMemoryStore();
    await createRepository(store, { encryption: 'none' });
    const { id: vm, disks } = await stack.lab.createVm({ name: 'sql01', disks: [{ size: 24 * MiB }] });
    const disk = disks[0]!.diskId.toLowerCase();
    await stack.lab.guestWrite(vm, { diskId: disk, offset: MiB, length: 5 * MiB, seed: 1 });
    const made = { stack, store, vm, disk };
    await backup(made);
    await stack.lab.guestWrite(vm, { diskId: disk, offset: 2 * MiB, length: 64 * KiB, seed: 2 });
    await backup(made);
    return { ...made, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

async function backup({ stack, store, vm }: Rig): Promise<BackupRecord> {
  const { source, hyperv } = stack;
  await using repository = await openRepository(store);
  const resolveVm = (name: string, options: { signal?: AbortSignal | undefined }) => hyperv.vm(name, options);
  return await backupVm({ source, repository, resolveVm }, { vm, workers: 0, audit: 'off' });
}

/** The disk of a point, against the truth the lab kept at its checkpoint. */
async function assertExact({ stack, vm, disk }: Rig, repository: Repository, index: number): Promise<void> {
  const points = (await Array.fromAsync(repository.points())).toReversed();
  const to = join(folder, 'restored');
  const { disks } = await restorePoint(repository, { point: points.at(index)!, folder: to, format: 'raw' });
  const seal = (await stack.lab.seals(vm)).at(index)!;
  assert.equal(await stack.lab.compareImage(seal.id, disk, disks[0]!.path), null);
  await rm(to, { recursive: true });
}

async function damageLargest(store: MemoryStore): Promise<void> {
  const packs = (await Array.fromAsync(store.list('packs/'))).toSorted((a, b) => b.size - a.size);
  store.damage(packs[0]!.name, (bytes) => bytes.with(3 * MiB, bytes[3 * MiB]! ^ 1)); // of the fourth MiB of data
}

test('an increment over a damaged base reads the disk whole, and every point is exact again', async () => {
  await using made = await rig();
  await damageLargest(made.store);
  const found = await (await openRepository(made.store)).verify({ workers: 0 });
  assert.equal(found.problems.length, 1);
  assert.deepEqual(new Set(found.problems[0]!.affected.map(({ pointId }) => pointId)).size, 2);
  const record = await backup(made);
  assert.deepEqual(
    record.disks.map(({ kind, reason }) => `${kind} ${reason}`),
    ['full base-damaged'],
  );
  assert.ok(record.disks[0]!.newBytes <= 2 * MiB, 'what is whole is not stored again');
  const repository = await openRepository(made.store);
  for (const index of [0, 1, 2]) await assertExact(made, repository, index);
  assert.ok((await repository.verify({ workers: 0 })).ok);
  const next = await backup(made);
  assert.equal(next.disks[0]!.kind, 'delta', 'increments go on from there');
});

test('a damaged note of an earlier run is told of once, and does not keep the VM from being backed up', async () => {
  await using made = await rig();
  const repository = await openRepository(made.store);
  await repository.journal.record(made.vm.toLowerCase(), {
    key: 'run-freezing',
    value: { step: 'freezing' },
  });
  const [note] = await Array.fromAsync(made.store.list('journal/'));
  made.store.damage(note!.name, (bytes) => bytes.with(100, bytes[100]! ^ 1));
  const record = await backup(made);
  assert.deepEqual(
    record.warnings.map(({ code }) => code),
    ['FLOW_NOTE_LOST'],
  );
  assert.deepEqual((await backup(made)).warnings, []);
});

test('a damaged settings blob names its points, costs no disk, and is stored again by the next backup', async () => {
  await using made = await rig();
  const repository = await openRepository(made.store);
  const points = await Array.fromAsync(repository.points());
  const { configuration } = points[0]!.vm;
  const before = Buffer.from(await repository.readBlob(configuration));
  await damageBlob(made.store, configuration);
  const found = await (await openRepository(made.store)).verify({ workers: 0 });
  assert.deepEqual(
    found.problems.map(({ objectId, affected, settingsOf }) => [
      objectId,
      affected.length,
      settingsOf.length,
    ]),
    [[configuration, 0, points.filter(({ vm }) => vm.configuration === configuration).length]],
  );
  await backup(made);
  const after = await openRepository(made.store);
  assert.ok(before.equals(await after.readBlob(configuration)));
  assert.ok((await after.verify({ workers: 0 })).ok);
});

/** The byte behind the header of the object with this id. */
async function damageBlob(store: MemoryStore, id: string): Promise<void> {
  for await (const { name, size } of store.list('packs/')) {
    const bytes = Buffer.from(await store.getRange(name, 0, size));
    const at = bytes.indexOf(Buffer.from(id, 'hex'));
    if (at < 0 || bytes.indexOf('HVLOBJ') > at) continue;
    store.damage(name, (content) => content.with(at - 20 + 100, content[at - 20 + 100]! ^ 1));
  }
}
