/**
 * The main job, end to end: backup, increments and restore through a repository on disk, against the emulated host. Every
 * restored image is compared with the truth the lab kept at that checkpoint.
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

const folder = await mkdtemp(join(tmpdir(), 'hvlift-backup-'));
after(() => rm(folder, { recursive: true }));

async function newRepository(name: string): Promise<Repository> {
  const store = await openDirectoryStore(join(folder, name), { create: true });
  const { repository } = await createRepository(store, {
    encryption: { passphrase: 'a passphrase for this test' },
  });
  return repository;
}

function backup(stack: LabStack, repository: Repository, vm: string): Promise<BackupRecord> {
  const { source, hyperv } = stack;
  return backupVm({ source, repository, resolveVm: (name, options) => hyperv.vm(name, options) }, { vm });
}

/** Restores a point as raw images and compares each with the truth at the seal of its checkpoint. */
async function assertRestoresExactly(
  stack: LabStack,
  repository: Repository,
  pointId: string,
  seal: { id: string },
): Promise<void> {
  const to = join(folder, `restore-${pointId}`);
  const point = await repository.point(pointId);
  const record = await restorePoint(repository, { point, folder: to, format: 'raw' });
  for (const disk of record.disks) {
    assert.equal(
      await stack.lab.compareImage(seal.id, disk.diskId, disk.path),
      null,
      `${disk.path} is exact`,
    );
  }
  await rm(to, { recursive: true });
}

test('a full and three increments restore exactly, each of them, and reading follows what changed', async () => {
  await using stack = await openLabStack();
  const repository = await newRepository('main-job');
  const { id } = await stack.lab.createVm({ name: 'sql01', disks: [{ size: 96 * MiB }, { size: 33 * MiB }] });
  await stack.lab.guestRun(id, { seed: 1, writes: 60 });
  const records = [await backup(stack, repository, 'sql01')];
  for (const seed of [2, 3, 4]) {
    for (let n = 0; n < 10; n += 1) {
      await stack.lab.guestWrite(id, {
        offset: ((seed * 131 + n * 977) % 1500) * 64 * KiB,
        length: 64 * KiB,
        seed: seed * 100 + n,
      });
    }
    records.push(await backup(stack, repository, 'sql01'));
  }
  const seals = await stack.lab.seals(id);
  assert.equal(seals.length, records.length);
  for (const [index, record] of records.entries()) {
    assert.equal(record.outcome, 'ok', record.warnings.map(({ message }) => message).join('; '));
    await assertRestoresExactly(stack, repository, record.pointId, seals[index]!);
  }
  for (const { disks } of records.slice(1)) {
    const [system] = disks;
    assert.equal(system!.kind, 'delta');
    assert.ok(
      system!.readBytes <= 1.05 * 10 * 64 * KiB,
      `${system!.readBytes} bytes read for 10 changed cells`,
    );
    assert.ok(system!.newBytes <= 1.05 * 10 * 64 * KiB, `${system!.newBytes} new bytes for 10 changed cells`);
  }
  assert.equal((await stack.hyperv.referencePoints(id.toLowerCase())).length, 1);
  assert.deepEqual(await stack.hyperv.checkpoints(id.toLowerCase()), []);
});

test('a reference point lost on the host means a full of content that is known already: nothing new is stored', async () => {
  await using stack = await openLabStack();
  const repository = await newRepository('lost-baseline');
  const { id } = await stack.lab.createVm({ name: 'web01', disks: [{ size: 64 * MiB }] });
  await stack.lab.guestRun(id, { seed: 5, writes: 30 });
  await backup(stack, repository, 'web01');
  for (const point of await stack.hyperv.referencePoints(id.toLowerCase()))
    await stack.hyperv.destroyReferencePoint(point);
  const again = await backup(stack, repository, 'web01');
  assert.equal(again.disks[0]!.reason, 'reference-point-lost');
  assert.equal(again.disks[0]!.newBytes, 0);
  await assertRestoresExactly(stack, repository, again.pointId, (await stack.lab.seals(id)).at(-1)!);
});
