import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { newGuid } from '../base/index.ts';
import type { Capture } from '../capture/index.ts';
import { createMemoryStore } from '../objectstore/index.ts';
import { createRepository, type Repository, type RestorePoint } from '../repository/index.ts';
import { restorePoint } from './restore.ts';
import { storeSettings } from './settings-files.ts';

const FILES = [
  { path: 'C:\\Hyper-V\\Snapshots\\A1.vmcx', bytes: Buffer.from('settings of the host') },
  { path: 'C:\\Hyper-V\\Snapshots\\A1.vmgs', bytes: Buffer.alloc(100_000, 3) },
];
const WARNING = { code: 'CAPTURE_CONFIGURATION_FILE_UNREAD', message: 'not read', remedy: 'none' };

async function pointWithFiles(repository: Repository): Promise<RestorePoint> {
  const capture = {
    vm: { id: newGuid(), name: 'vm', host: 'host' },
    configuration: { name: 'vm' },
    configurationFiles: async () => ({ files: FILES, warnings: [WARNING] }),
  };
  await using session = await repository.startSession({ workers: 0 });
  const { vm, warnings } = await storeSettings(session, capture as unknown as Capture, {});
  assert.deepEqual(warnings, [WARNING]);
  return await session.commit({
    runId: newGuid(),
    vm,
    consistency: { asked: 'crash', reached: 'crash' },
    disks: [],
  });
}

test("the host's files of a VM come back with a restore as they were, and are verified", async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-settings-'));
  try {
    const { repository } = await createRepository(createMemoryStore(), { encryption: 'none' });
    const point = await pointWithFiles(repository);
    assert.deepEqual(
      point.vm.files!.map(({ path, size }) => [path, size]),
      FILES.map(({ path, bytes }) => [path, bytes.length]),
    );
    const record = await restorePoint(repository, { point, folder, format: 'raw' });
    assert.deepEqual(record.warnings, []);
    assert.deepEqual(await readdir(join(folder, 'host-files')), ['A1.vmcx', 'A1.vmgs']);
    for (const { path, bytes } of FILES)
      assert.ok((await readFile(join(folder, 'host-files', path.split('\\').at(-1)!))).equals(bytes));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a damaged file of the host is found by verify, and a restore goes on with a warning', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-settings-'));
  try {
    const { repository } = await createRepository(createMemoryStore(), { encryption: 'none' });
    const whole = await pointWithFiles(repository);
    const [first, second] = whole.vm.files!;
    const point = { ...whole, vm: { ...whole.vm, files: [{ ...first!, blob: '0'.repeat(64) }, second!] } };
    const report = await repository.verify({ point, workers: 0 });
    assert.deepEqual(
      report.problems.map(({ fault }) => fault.code),
      ['REPO_OBJECT_MISSING'],
    );
    const record = await restorePoint(repository, { point, folder, format: 'raw' });
    assert.deepEqual(
      record.warnings.map(({ code }) => code),
      ['FLOW_HOST_FILE_LOST'],
    );
    assert.deepEqual(await readdir(join(folder, 'host-files')), ['A1.vmgs']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
