/**
 * A user goes back to a checkpoint and deletes it, between two backups: the chain of files has the same names as after a checkpoint
 * that was deleted and nothing more. A host may refuse the tracking id then, or answer it as if nothing had been undone; the next
 * restore point is exact all the same. A VM that ran on meanwhile went back nowhere, and its increment stays one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../../src/base/index.ts';
import { backupVm, planVm, type BackupRecord, type BackupRequest } from '../../src/flows/index.ts';
import { createMemoryStore } from '../../src/objectstore/index.ts';
import { createRepository, type Repository } from '../../src/repository/index.ts';
import type { LabSettings } from '../../lab/model/index.ts';
import { openLabStack, strangersCheckpoint, type LabStack } from './lab-stack.fixture.ts';

const MARK = 64 * 1024;

class Rig implements AsyncDisposable {
  readonly stack: LabStack;
  readonly vmId: string;
  readonly #repository: Repository;

  private constructor(stack: LabStack, vmId: string, repository: Repository) {
    this.stack = stack;
    this.vmId = vmId;
    this.#repository = repository;
  }

  static async open(settings: LabSettings = {}): Promise<Rig> {
    const stack = await openLabStack(settings);
    const { id } = await stack.lab.createVm({ name: 'web01', disks: [{ size: 8 * MiB }] });
    const { repository } = await createRepository(createMemoryStore(), { encryption: 'none' });
    const rig = new Rig(stack, id, repository);
    await rig.write(0, 1);
    return rig;
  }

  async write(place: number, seed: number): Promise<void> {
    await this.stack.lab.guestWrite(this.vmId, { offset: place * MARK, length: MARK, seed });
  }

  /** The audit is off: it would find what is wrong here, by and by. The content is compared with what the host froze. */
  async backup(request: Partial<BackupRequest> = {}): Promise<BackupRecord> {
    const { source, hyperv, lab } = this.stack;
    const repository = this.#repository;
    const plan = await planVm({ source, repository }, { vm: this.vmId.toLowerCase() });
    const deps = { source, repository, resolveVm: (vm: string) => hyperv.vm(vm) };
    const record = await backupVm(deps, { vm: 'web01', workers: 0, audit: 'off', ...request });
    assert.deepEqual(
      plan.disks.map(({ kind, reason }) => ({ kind, reason })),
      record.disks.map(({ kind, reason }) => ({ kind, reason })),
      'the plan said so',
    );
    const { disks } = await repository.point(record.pointId);
    const seal = (await lab.seals(this.vmId)).at(-1)!;
    const truth = await lab.truthReader(seal.id, disks[0]!.diskId);
    const stored = repository.openDisk(disks[0]!.root, disks[0]!.size);
    assert.equal(
      await truth.firstDifference(stored),
      undefined,
      'restored content is that of the checkpoint',
    );
    await stored.close();
    await truth.close();
    return record;
  }

  async #call(method: string, parameter: string): Promise<void> {
    const checkpoint = (await this.stack.lab.vm(this.vmId)).checkpoints.at(-1)!;
    const service = { className: 'Msvm_VirtualSystemSnapshotService', keys: {} };
    const keys = { InstanceID: `Microsoft:${checkpoint.id}` };
    const input = { [parameter]: { className: 'Msvm_VirtualSystemSettingData', keys } };
    await this.stack.lab.provider.invoke(service, method, input, { user: 'HV01\\Somebody' });
    await this.stack.lab.settle();
  }

  deleteCheckpoint(): Promise<void> {
    return this.#call('DestroySnapshot', 'AffectedSnapshot');
  }

  /** The host applies a checkpoint only to a VM that is off. */
  async goBack(): Promise<void> {
    await this.stack.lab.setPower(this.vmId, 'off');
    await this.#call('ApplySnapshot', 'Snapshot');
    await this.stack.lab.setPower(this.vmId, 'running');
  }

  async files(): Promise<readonly string[]> {
    return (await this.stack.lab.vm(this.vmId)).disks[0]!.files;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack[Symbol.asyncDispose]();
  }
}

const how = ({ disks }: BackupRecord): string => `${disks[0]!.kind} ${disks[0]!.reason}`;
const DELTA = 'delta changes-since-reference-point';

for (const undoneIds of ['refused', 'answered'] as const) {
  test(`gone back to a checkpoint that was deleted then, on a host where the ids of since are ${undoneIds}: all of the disk is compared, and right`, async () => {
    await using rig = await Rig.open({ undoneIds });
    await strangersCheckpoint(rig.stack.lab, rig.vmId, 'user');
    await rig.write(1, 2);
    await rig.backup();
    const [base] = await rig.files();
    await rig.goBack();
    await rig.deleteCheckpoint();
    assert.deepEqual(await rig.files(), [base], 'as if the checkpoint had only been deleted');
    await rig.write(2, 3);
    assert.equal(how(await rig.backup()), 'compare chain-changed');
    await rig.write(3, 4);
    assert.equal(how(await rig.backup()), DELTA, 'once');
  });
}

test('a checkpoint of a user that is deleted while the VM runs costs no compare', async () => {
  await using rig = await Rig.open();
  await strangersCheckpoint(rig.stack.lab, rig.vmId, 'user');
  await rig.backup();
  await rig.write(1, 2);
  await rig.deleteCheckpoint();
  assert.equal((await rig.files()).length, 1);
  await rig.write(2, 3);
  assert.equal(how(await rig.backup()), DELTA);
});

test('deleted while the VM was off: nobody can tell whether it was gone back to, so the disk is compared', async () => {
  await using rig = await Rig.open();
  await strangersCheckpoint(rig.stack.lab, rig.vmId, 'user');
  await rig.backup();
  await rig.stack.lab.setPower(rig.vmId, 'off', { flushed: true });
  await rig.deleteCheckpoint();
  await rig.stack.lab.setPower(rig.vmId, 'running');
  assert.equal(how(await rig.backup()), 'compare chain-changed');
});

test('a merge of our own that comes late, over a restart of the VM, costs no compare: there was no checkpoint to go back to', async () => {
  await using rig = await Rig.open();
  await rig.backup();
  await rig.stack.lab.holdMerges(rig.vmId, true);
  for (const place of [1, 2]) {
    await rig.write(place, place);
    const { warnings } = await rig.backup({ mergeTimeoutMs: 20 });
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['FLOW_MERGE_RUNNING'],
    );
  }
  assert.ok((await rig.files()).length > 1, 'its leaf is an AVHDX of ours');
  await rig.stack.lab.setPower(rig.vmId, 'off', { flushed: true });
  await rig.stack.lab.holdMerges(rig.vmId, false);
  await rig.stack.lab.settle();
  assert.equal((await rig.files()).length, 1);
  await rig.stack.lab.setPower(rig.vmId, 'running');
  await rig.write(3, 4);
  assert.equal(how(await rig.backup()), DELTA);
});
