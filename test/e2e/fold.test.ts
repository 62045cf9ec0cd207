/** Folding beside a host: the baseline on it goes on with the folded point, and the next increment reads what changed and no more. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { backupVm, foldPoints, restorePoint } from '../../src/flows/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository } from '../../src/repository/index.ts';
import { openLabStack } from './lab-stack.fixture.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-fold-'));
after(() => rm(folder, { recursive: true }));

test('an increment after a fold is a delta over the folded point, and exact', async () => {
  await using stack = await openLabStack();
  const { lab, source, hyperv } = stack;
  const { id } = await lab.createVm({ name: 'sql01', disks: [{ size: 4 * MiB }] });
  const store = await openDirectoryStore(join(folder, 'repository'), { create: true });
  const { repository } = await createRepository(store, { encryption: 'none' });
  const resolveVm: typeof hyperv.vm = (vm, options) => hyperv.vm(vm, options);
  const options = { vm: 'sql01', workers: 0, audit: 'off', fold: 'off' } as const;
  const backUp = () => backupVm({ source, repository, resolveVm }, options);
  const write = (cell: number, seed: number, cells = 1) =>
    lab.guestWrite(id, { offset: cell * 64 * KiB, length: cells * 64 * KiB, seed });
  await write(0, 1, 16);
  await backUp();
  for (let run = 0; run < 8; run += 1) {
    await write((run * 3) % 16, 10 + run);
    await backUp();
  }
  const { points } = await foldPoints(repository, { dryRun: false, workers: 0 });
  const { foldedInto } = points[0]!;
  assert.ok(foldedInto !== undefined);
  await write(5, 50);
  const next = await backUp();
  assert.deepEqual(
    next.disks.map(({ kind, readBytes }) => ({ kind, readBytes })),
    [{ kind: 'delta', readBytes: 64 * KiB }],
  );
  const point = await repository.point(next.pointId);
  assert.equal(point.parent, foldedInto);
  assert.deepEqual(next.warnings, []);
  assert.equal((await repository.baselines(id.toLowerCase())).length, 1);
  assert.equal(
    (await hyperv.referencePoints(id.toLowerCase())).length,
    1,
    'the mark of before the fold is gone',
  );
  const to = join(folder, 'restored');
  const { disks } = await restorePoint(repository, { point, folder: to, format: 'raw' });
  const seal = (await lab.seals(id)).at(-1)!;
  for (const disk of disks) assert.equal(await lab.compareImage(seal.id, disk.diskId, disk.path), null);
});
