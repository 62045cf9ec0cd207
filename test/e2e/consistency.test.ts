/** What a guest is asked for and what is recorded of it, over the wire of the emulated host. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MiB } from '../../src/base/index.ts';
import { backupVm, type BackupRequest } from '../../src/flows/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository } from '../../src/repository/index.ts';
import { openLabStack } from './lab-stack.fixture.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-consistency-'));
after(() => rm(folder, { recursive: true }));
const store = await openDirectoryStore(join(folder, 'repo'), { create: true });
const { repository } = await createRepository(store, { encryption: 'none' });
const stack = await openLabStack();
after(() => stack[Symbol.asyncDispose]());

async function newVm(name: string, guestSystem?: string): Promise<string> {
  const system = guestSystem === undefined ? {} : { guestSystem };
  return (await stack.lab.createVm({ name, disks: [{ size: 4 * MiB }], ...system })).id;
}

function backup(vm: string, request: Partial<BackupRequest> = {}) {
  const { source, hyperv } = stack;
  const resolveVm: typeof hyperv.vm = (name, options) => hyperv.vm(name, options);
  return backupVm({ source, repository, resolveVm }, { vm, workers: 0, ...request });
}

test('a Linux guest is recorded as consistent to its file systems, in run, point and baseline, without a warning', async () => {
  const id = await newVm('debian', 'Debian GNU/Linux');
  const record = await backup('debian', { consistency: 'application-required' });
  const consistency = { asked: 'application-required', reached: 'file-system' };
  assert.deepEqual([record.consistency, record.warnings], [consistency, []]);
  assert.deepEqual((await repository.point(record.pointId)).consistency, consistency);
  assert.equal((await repository.baselines(id.toLowerCase()))[0]!.consistency, 'file-system');
});

test('a Windows guest is application-consistent; that its logs may be truncated is recorded where it was ordered', async () => {
  await newVm('sql01', 'Windows Server 2022 Datacenter');
  assert.deepEqual((await backup('sql01')).consistency, {
    asked: 'application-preferred',
    reached: 'application',
  });
  const record = await backup('sql01', { truncateLogs: true });
  const { consistency } = await repository.point(record.pointId);
  assert.deepEqual(consistency, {
    asked: 'application-preferred',
    reached: 'application',
    truncatedLogs: true,
  });
});

test('required without an answering guest fails before the host has a checkpoint, and says what to start', async () => {
  const id = await newVm('silent');
  await stack.lab.setGuest(id, { vss: 'no-contact' });
  await assert.rejects(backup('silent', { consistency: 'application-required' }), {
    code: 'CAPTURE_NOT_APPLICATION_CONSISTENT',
    remedy: /^start the service vmicvss .* hv_vss_daemon/,
  });
  assert.deepEqual([await stack.lab.seals(id), (await stack.lab.vm(id)).checkpoints], [[], []]);
  const record = await backup('silent');
  assert.deepEqual([record.consistency.reached, record.outcome], ['crash', 'warnings']);
});
