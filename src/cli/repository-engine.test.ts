/** One damaged manifest in a repository: everything else in it can still be found, restored and copied. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { silentProgress } from '../base/index.ts';
import { openDirectoryStore } from '../objectstore/index.ts';
import { createRepository, type Repository, type RestorePoint } from '../repository/index.ts';
import type { RepositoryAccess, Task } from './engine.ts';
import { pointsEngine } from './points-engine.ts';
import { openRepositoryOf, repositoryEngine, selectPoint } from './repository-engine.ts';

const root = await mkdtemp(join(tmpdir(), 'hvlift-damaged-manifest-'));
after(() => rm(root, { recursive: true }));

const task: Task = { signal: new AbortController().signal, progress: silentProgress };

function accessTo(path: string): RepositoryAccess {
  return { path, unlock: () => Promise.reject(new Error('it is not encrypted')) };
}

async function newRepository(name: string): Promise<{ access: RepositoryAccess; repository: Repository }> {
  const path = join(root, name);
  await mkdir(path);
  const store = await openDirectoryStore(path);
  const { repository } = await createRepository(store, { encryption: 'none' });
  return { access: accessTo(path), repository };
}

async function commit(repository: Repository, vm: string): Promise<RestorePoint> {
  await using session = await repository.startSession({ workers: 0 });
  const configuration = await session.putBlob(Buffer.from('{}'));
  return await session.commit({
    runId: 'run',
    vm: { id: `${vm}-id`, name: vm, host: 'HV1', configuration },
    consistency: { asked: 'crash', reached: 'crash' },
    disks: [],
  });
}

async function damage({ path }: RepositoryAccess, { id }: RestorePoint): Promise<void> {
  const names = await readdir(join(path, 'points'), { recursive: true });
  const name = names.find((each) => each.endsWith(id))!;
  await writeFile(join(path, 'points', name), 'not what was written');
}

/** Two points of `web`, then one of `sql`; the one at `index` is damaged. */
async function damaged(name: string, index: number): Promise<{ access: RepositoryAccess; ids: string[] }> {
  const { access, repository } = await newRepository(name);
  const points = [];
  for (const vm of ['web', 'web', 'sql']) points.push(await commit(repository, vm));
  await damage(access, points[index]!);
  return { access, ids: points.map(({ id }) => id) };
}

async function latestOf(access: RepositoryAccess, vm: string): Promise<string> {
  const repository = await openRepositoryOf(access, task);
  return (await selectPoint(repository, { kind: 'latest', vm }, task)).id;
}

test('"latest" of a VM is found whatever is damaged of others, and of its own older points', async () => {
  const ofOther = await damaged('latest-of-other', 2);
  assert.equal(await latestOf(ofOther.access, 'web'), ofOther.ids[1]);
  const ofOlder = await damaged('latest-of-older', 0);
  assert.equal(await latestOf(ofOlder.access, 'web'), ofOlder.ids[1]);
});

test('"latest" never means an older point because the latest is damaged', async () => {
  const { access } = await damaged('latest-itself', 1);
  await assert.rejects(latestOf(access, 'web'), { code: 'REPO_POINT_DAMAGED' });
});

test('a VM whose only point is damaged is not called unknown', async () => {
  const { access } = await damaged('only-one', 2);
  await assert.rejects(latestOf(access, 'sql'), { code: 'REPO_POINT_DAMAGED' });
});

test('status tells of what can be read, and of the damage', async () => {
  const { access } = await damaged('status', 0);
  const { vms, error } = await repositoryEngine.repositoryStatus(access, task);
  assert.deepEqual(vms.map(({ name, points }) => `${name} ${points}`).sort(), ['sql 1', 'web 1']);
  assert.equal((error as { code: string }).code, 'REPO_POINT_DAMAGED');
});

test('copying everything copies what can be read, then tells of the damage', async () => {
  const { access, ids } = await damaged('copy-from', 0);
  const to = await newRepository('copy-to');
  const copied: string[] = [];
  const copy = async (): Promise<void> => {
    const request = { repository: access, to: to.access, points: [] };
    for await (const { pointId } of pointsEngine.copyPoints(request, task)) copied.push(pointId);
  };
  await assert.rejects(copy(), { code: 'REPO_POINT_DAMAGED' });
  assert.deepEqual(copied.sort(), ids.slice(1).sort());
});
