/**
 * Odd VMs and odd hosts, each backed up over the wire of the lab and compared with the truth it keeps: what other tests do
 * not already hold of the list in docs/reference/edge-cases.md.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isFault, KiB, MiB } from '../../src/base/index.ts';
import { backupVm, restorePoint, type BackupRecord, type BackupRequest } from '../../src/flows/index.ts';
import { createMemoryStore } from '../../src/objectstore/index.ts';
import { createRepository, type Repository } from '../../src/repository/index.ts';
import type { FaultRule, LabSettings, Misbehaviour, Power, VmSpec } from '../../lab/model/index.ts';
import { openLabStack, type LabStack } from '../e2e/lab-stack.fixture.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-odd-'));
after(() => rm(folder, { recursive: true }));

const DISK = { size: 3 * MiB, blockSize: MiB };
const DELTA = 'delta changes-since-reference-point';

interface Rig {
  readonly stack: LabStack;
  readonly repository: Repository;
  readonly vm: string;
}

/** A VM of one disk, or as it is said, that was never backed up. */
async function rig(spec: Partial<VmSpec> = {}, settings: LabSettings = {}): Promise<Rig & AsyncDisposable> {
  const stack = await openLabStack(settings);
  const { repository } = await createRepository(createMemoryStore(), { encryption: 'none' });
  const { id } = await stack.lab.createVm({ name: 'odd', disks: [DISK], ...spec });
  return { stack, repository, vm: id, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
}

/** Without threads, which for disks of this size take longer to start than they save. */
function backup({ stack, repository, vm }: Rig, request: Partial<BackupRequest> = {}): Promise<BackupRecord> {
  const { source, hyperv } = stack;
  const resolveVm = (name: string, options: { signal?: AbortSignal | undefined }) => hyperv.vm(name, options);
  return backupVm({ source, repository, resolveVm }, { vm, workers: 0, ...request });
}

async function write({ stack, vm }: Rig, seed: number): Promise<void> {
  for (const { diskId } of (await stack.lab.vm(vm)).disks)
    await stack.lab.guestWrite(vm, { diskId, offset: (seed % 8) * 64 * KiB, length: 4 * KiB, seed });
}

function kindsOf(record: BackupRecord): string[] {
  return record.disks.map(({ kind, reason }) => `${kind} ${reason}`);
}

/** The point is the disks at the last checkpoint, and nothing of ours but one mark is on the host. */
async function assertExact({ stack, repository, vm }: Rig, record: BackupRecord): Promise<void> {
  const seal = (await stack.lab.seals(vm)).findLast(({ kind }) => kind === 'recovery')!;
  const to = join(folder, record.pointId);
  const point = await repository.point(record.pointId);
  const restored = await restorePoint(repository, { point, folder: to, format: 'raw' });
  for (const { diskId, path } of restored.disks)
    assert.equal(await stack.lab.compareImage(seal.id, diskId, path), null, `${path} is exact (I1)`);
  await rm(to, { recursive: true });
  const { checkpoints } = await stack.lab.vm(vm);
  assert.deepEqual(
    checkpoints.filter(({ kind }) => kind === 'recovery'),
    [],
    'no checkpoint of ours stays (I4)',
  );
}

const REACHED: readonly [Power, string][] = [
  ['running', 'application'],
  ['off', 'offline'],
  ['saved', 'crash'],
  ['paused', 'crash'],
];

for (const [power, reached] of REACHED) {
  test(`a VM that is ${power} is backed up, recorded as ${reached}, and so is its increment`, async () => {
    await using made = await rig();
    await write(made, 1);
    await made.stack.lab.setPower(made.vm, power, { flushed: true });
    for (const expected of ['full first-backup', DELTA]) {
      const record = await backup(made);
      assert.deepEqual(kindsOf(record), [expected]);
      assert.equal(record.consistency.reached, reached);
      await assertExact(made, record);
    }
  });
}

for (const [version, expected] of [
  ['5.0', 'compare tracking-unsupported'],
  ['6.2', 'compare tracking-unsupported'],
  ['8.0', DELTA],
  ['9.0', DELTA],
  ['10.0', DELTA],
  ['12.0', DELTA],
] as const) {
  test(`a VM of configuration version ${version}: its second backup is a ${expected}`, async () => {
    await using made = await rig({ version });
    await write(made, 1);
    await backup(made);
    await write(made, 2);
    const record = await backup(made);
    assert.deepEqual(kindsOf(record), [expected]);
    await assertExact(made, record);
  });
}

const SERVICE = { className: 'Msvm_VirtualSystemSnapshotService', keys: {} };

/** As in Hyper-V Manager, by somebody. */
async function userCheckpoint({ stack, vm }: Rig): Promise<void> {
  const AffectedSystem = { className: 'Msvm_ComputerSystem', keys: { Name: vm } };
  const input = { AffectedSystem, SnapshotType: 2 };
  await stack.lab.provider.invoke(SERVICE, 'CreateSnapshot', input, { user: 'HV01\\Somebody' });
  await stack.lab.settle();
}

test('a chain of five checkpoints of a user, taken between backups, stays as it is and costs no full', async () => {
  await using made = await rig();
  await backup(made);
  for (let seed = 1; seed <= 5; seed += 1) {
    await write(made, seed);
    await userCheckpoint(made);
  }
  await write(made, 6);
  const record = await backup(made);
  assert.deepEqual(kindsOf(record), [DELTA]);
  await assertExact(made, record);
  assert.equal((await made.stack.lab.vm(made.vm)).checkpoints.length, 5, 'those of the user stand (I7)');
});

test('a VM that is reverted to a checkpoint of its user between two backups is compared, and then goes on in increments', async () => {
  await using made = await rig();
  const { lab } = made.stack;
  await write(made, 1);
  await userCheckpoint(made);
  await write(made, 2);
  await backup(made);
  const [checkpoint] = (await lab.vm(made.vm)).checkpoints;
  const Snapshot = {
    className: 'Msvm_VirtualSystemSettingData',
    keys: { InstanceID: `Microsoft:${checkpoint!.id}` },
  };
  await lab.setPower(made.vm, 'off');
  await lab.provider.invoke(SERVICE, 'ApplySnapshot', { Snapshot }, { user: 'HV01\\somebody' });
  await lab.settle();
  await lab.setPower(made.vm, 'running');
  await write(made, 3);
  for (const expected of ['compare chain-changed', DELTA]) {
    const record = await backup(made);
    assert.deepEqual(kindsOf(record), [expected]);
    await assertExact(made, record);
  }
});

test('a checkpoint and a reference point that the host lists only after a while are waited for', async () => {
  await using made = await rig({}, { listingDelayMs: 300 });
  await write(made, 1);
  await backup(made);
  await write(made, 2);
  const record = await backup(made);
  assert.deepEqual([record.outcome, kindsOf(record)], ['ok', [DELTA]]);
  await assertExact(made, record);
});

interface Trick {
  readonly what: string;
  readonly misbehaviour: Misbehaviour;
  /** The outcome, or the code of the refusal. */
  readonly ends: 'ok' | 'HYPERV_CHECKPOINT_FAILED';
}

const TRICKS: readonly Trick[] = [
  { what: 'whose object is gone when it is asked for', misbehaviour: { kind: 'vanish-job' }, ends: 'ok' },
  { what: 'that ends with warnings, 32768', misbehaviour: { kind: 'warn-job' }, ends: 'ok' },
  { what: 'whose answer is lost', misbehaviour: { kind: 'drop', when: 'after' }, ends: 'ok' },
  {
    what: 'that fails, in words of another language',
    misbehaviour: { kind: 'fail-job', code: 32_768 },
    ends: 'HYPERV_CHECKPOINT_FAILED',
  },
];

for (const { what, misbehaviour, ends } of TRICKS) {
  test(`the job of a checkpoint ${what}: the run ends as ${ends}, and the next is an increment`, async () => {
    await using made = await rig({}, { language: 'ja-JP' });
    await backup(made);
    await write(made, 1);
    await made.stack.lab.addFault({ method: 'CreateSnapshot', misbehaviour });
    const ended = await backup(made, { consistency: 'crash' }).catch((error: unknown) => error);
    assert.equal(isFault(ended) ? ended.code : (ended as BackupRecord).outcome, ends);
    if (ends === 'ok') await assertExact(made, ended as BackupRecord);
    await write(made, 2);
    const record = await backup(made);
    assert.deepEqual(kindsOf(record), [DELTA]);
    await assertExact(made, record);
  });
}

const returned = (code: number): FaultRule => ({
  method: 'GetVirtualDiskChanges',
  misbehaviour: { kind: 'return', code },
});
const failing = (status: number): FaultRule => ({
  method: 'GetVirtualDiskChanges',
  misbehaviour: { kind: 'wmi-error', status },
});

test('every code by which a host declines to tell changes makes the disk a compare, and the next run is an increment', async () => {
  const returns = [5, 32_768, 32_769, 32_773, 32_774, 32_775, 32_776, 32_777, 32_778, 32_779];
  const statuses = [0xc03a0029, 0xc03a002a, 0xc03a0030];
  await using made = await rig();
  await backup(made);
  for (const [n, rule] of [...returns.map(returned), ...statuses.map(failing)].entries()) {
    const which = JSON.stringify(rule.misbehaviour);
    await made.stack.lab.addFault(rule);
    await write(made, n);
    const record = await backup(made);
    assert.deepEqual(kindsOf(record), ['compare change-query-failed'], which);
    assert.equal(record.disks[0]!.changedBytes, 64 * KiB, which);
    await assertExact(made, record);
  }
  await write(made, 99);
  assert.deepEqual(kindsOf(await backup(made)), [DELTA]);
});

test('a merge that does not come is a warning; runs that begin meanwhile are exact, and all is merged when it comes', async () => {
  await using made = await rig();
  await backup(made);
  await made.stack.lab.holdMerges(made.vm, true);
  for (let seed = 1; seed <= 3; seed += 1) {
    await write(made, seed);
    const record = await backup(made, { mergeTimeoutMs: 100 });
    assert.equal(record.outcome, 'warnings');
    assert.deepEqual(
      record.warnings.map(({ code }) => code),
      ['FLOW_MERGE_RUNNING'],
    );
    assert.deepEqual(kindsOf(record), [DELTA]);
    await assertExact(made, record);
  }
  await made.stack.lab.holdMerges(made.vm, false);
  await made.stack.lab.settle();
  await write(made, 4);
  const record = await backup(made);
  assert.deepEqual([record.outcome, kindsOf(record)], ['ok', [DELTA]]);
  await assertExact(made, record);
});

test('a disk that became smaller is compared, and its point has the size of then', async () => {
  await using made = await rig();
  const [disk] = (await made.stack.lab.vm(made.vm)).disks;
  await made.stack.lab.guestWrite(made.vm, { offset: 0, length: 2 * MiB, seed: 1 });
  await backup(made);
  await made.stack.lab.resizeDisk(made.vm, disk!.diskId, MiB + 512 * KiB);
  await write(made, 2);
  const record = await backup(made);
  assert.deepEqual(kindsOf(record), ['compare size-changed']);
  await assertExact(made, record);
});

test('a disk that was taken out is in no later point; in another slot it comes back as what it is', async () => {
  await using made = await rig({ disks: [DISK, DISK] });
  await write(made, 1);
  await backup(made);
  const [, second] = (await made.stack.lab.vm(made.vm)).disks;
  await made.stack.lab.detachDisk(made.vm, second!.diskId);
  const without = await backup(made);
  assert.deepEqual(kindsOf(without), [DELTA]);
  await made.stack.lab.attachDisk(made.vm, second!.diskId, { controller: 'scsi', slot: 40 });
  const record = await backup(made);
  assert.deepEqual(kindsOf(record).toSorted(), ['compare new-disk', DELTA]);
  await assertExact(made, record);
});

test('disks on IDE and on five SCSI controllers, in slots up to 63, beside a DVD: all of them, from one checkpoint', async () => {
  const places = [0, 1, 2, 3, 4].map((number) => ({ controller: 'scsi', number, slot: 63 }) as const);
  const disks = [{ controller: 'ide', number: 0, slot: 0 } as const, ...places].map((at, n) => ({
    ...DISK,
    size: (n + 1) * MiB + n * 512,
    name: `disk-${n}`,
    at,
  }));
  await using made = await rig({ generation: 1, scsiControllers: 5, disks });
  await made.stack.lab.addDrive(made.vm, { kind: 'dvd', path: 'C:\\iso\\setup.iso' });
  await write(made, 1);
  await backup(made);
  await write(made, 2);
  const record = await backup(made);
  assert.deepEqual(
    kindsOf(record),
    Array.from({ length: 6 }, () => DELTA),
  );
  await assertExact(made, record);
});

test('of two backups of one VM at the same time one is made, and the other is refused by the lock', async () => {
  await using made = await rig();
  const ends = await Promise.allSettled([backup(made), backup(made)]);
  const refused = ends.filter((end) => end.status === 'rejected');
  assert.deepEqual(
    refused.map(({ reason }) => isFault(reason) && reason.code),
    ['REPO_VM_BUSY'],
  );
  const made1 = ends.find((end) => end.status === 'fulfilled')!;
  await assertExact(made, made1.value);
});

test('a host that reports more than was written, as after a loss of power: more is read, and the increment is exact', async () => {
  await using made = await rig();
  await made.stack.lab.guestWrite(made.vm, { offset: 0, length: 3 * MiB, seed: 1 });
  await backup(made);
  await made.stack.lab.configure({ changes: { overReport: 2, overlapping: true, pastEnd: true } });
  await made.stack.lab.guestWrite(made.vm, { offset: MiB + 512, length: 512, seed: 2 });
  const record = await backup(made);
  assert.deepEqual(kindsOf(record), [DELTA]);
  assert.ok(record.disks[0]!.readBytes > 64 * KiB, 'more was read than the cell that was written');
  await assertExact(made, record);
});
