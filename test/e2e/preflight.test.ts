/** What cannot be protected is said before the first byte: all of it at once, and nothing is changed by saying it. */
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { GiB, hasCode, MiB, sleep, type Progress } from '../../src/base/index.ts';
import { createHyperVSource } from '../../src/capture/index.ts';
import { backupVm, planVm, pointWarnings, type BackupRequest } from '../../src/flows/index.ts';
import { createFsHostFiles, type HostFiles } from '../../src/hostfile/index.ts';
import { createMemoryStore } from '../../src/objectstore/index.ts';
import { createRepository, type Repository } from '../../src/repository/index.ts';
import { callLog, openLabStack, strangersCheckpoint, type LabStack } from './lab-stack.fixture.ts';

const MIGRATING = 32_774;

interface Rig extends AsyncDisposable {
  readonly stack: LabStack;
  readonly repository: Repository;
  /** Every object of the repository. */
  stored(): Promise<string[]>;
  backup(vm: string, request?: Partial<BackupRequest>): ReturnType<typeof backupVm>;
  plan(vm: string, request?: Partial<BackupRequest>): ReturnType<typeof planVm>;
}

async function open(): Promise<Rig> {
  const stack = await openLabStack();
  const store = createMemoryStore();
  const { repository } = await createRepository(store, { encryption: 'none' });
  const resolveVm = (name: string) => stack.hyperv.vm(name);
  const deps = { source: stack.source, repository, resolveVm };
  const request = { workers: 0, lookEveryMs: 5 };
  return {
    stack,
    repository,
    stored: async () => (await Array.fromAsync(store.list(''))).map(({ name }) => name),
    backup: (vm, changes) => backupVm(deps, { vm, ...request, ...changes }),
    plan: async (vm, changes) => planVm(deps, { vm: (await resolveVm(vm)).id, ...request, ...changes }),
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

test('everything that stands in the way is in one list, each with its code and what to do, and the host is not changed', async () => {
  await using rig = await open();
  const { lab } = rig.stack;
  const { id, disks } = await lab.createVm({
    name: 'odd',
    disks: [{ size: 4 * MiB }, { size: 4 * MiB, shared: true }],
  });
  await strangersCheckpoint(lab, id);
  await lab.addDrive(id, { kind: 'physical', path: 'disk-1' });
  await lab.setGuest(id, { vss: 'no-contact', busy: MIGRATING });
  await lab.configure({ windows: { freeBytes: MiB } });
  const log = callLog(lab);
  const request = { consistency: 'application-required', chainFilesMax: 1 } as const;
  const planned = await rig.plan('odd', request);
  const expected = [
    'CAPTURE_VM_BUSY',
    'CAPTURE_FOREIGN_CHECKPOINT',
    'CAPTURE_UNPROTECTABLE_DISK',
    'CAPTURE_UNPROTECTABLE_DISK',
    'CAPTURE_CHAIN_TOO_DEEP',
    'CAPTURE_SPACE_TOO_LOW',
    'CAPTURE_NOT_APPLICATION_CONSISTENT',
  ];
  const refused = planned.obstacles.filter(({ weight }) => weight === 'refused');
  assert.deepEqual(
    refused.map(({ code }) => code),
    expected,
  );
  assert.equal(planned.consistency.expected, undefined);
  assert.deepEqual(
    planned.disks.map(({ kind }) => kind),
    ['full', 'refused', 'refused'],
  );
  assert.deepEqual(log.changes(), []);
  assert.equal(disks.length, 2);

  await assert.rejects(rig.backup('odd', request), (error) => {
    assert.ok(hasCode(error, 'CAPTURE_SEVERAL_OBSTACLES'), String(error));
    for (const { code, message, remedy } of refused)
      assert.ok(error.message.includes(`${code}: ${message}; do: ${remedy}`));
    return true;
  });
  assert.deepEqual(log.changes(), [], 'no checkpoint was made to find out');
  assert.deepEqual(await Array.fromAsync(rig.repository.points()), []);
});

test('a disk that cannot be reached is refused before there is a checkpoint, by the host or by the way from here', async () => {
  await using rig = await open();
  const { lab } = rig.stack;
  const { disks } = await lab.createVm({ name: 'gone', disks: [{ size: 4 * MiB }, { size: 4 * MiB }] });
  await lab.createVm({ name: 'far', disks: [{ size: 4 * MiB, path: 'D:\\VMs\\far.vhdx' }] });
  const path = disks[1]!.files[0]!;
  const local = join(lab.volumesFolder, 'C', ...path.split('\\').slice(1));
  await rename(local, `${local}.away`);
  const log = callLog(lab);
  await assert.rejects(rig.backup('gone'), { code: 'HYPERV_DISK_MISSING' });
  await assert.rejects(rig.backup('far'), { code: 'CAPTURE_DISK_UNREACHABLE' });
  const plan = await rig.plan('far');
  assert.match(plan.obstacles[0]!.message, /HOSTFILE_NO_MAPPING/);
  assert.deepEqual(log.changes(), []);
});

test('what is allowed is explained: checkpoints of users, replication, shielding; a replica is no more than crash-consistent', async () => {
  await using rig = await open();
  const { lab } = rig.stack;
  const disks = [{ size: 4 * MiB }];
  const { id } = await lab.createVm({ name: 'user', disks, replicationMode: 1 });
  await strangersCheckpoint(lab, id, 'user');
  const codes = async (vm: string): Promise<string[]> =>
    (await rig.plan(vm)).obstacles.map(({ weight, code }) => `${weight} ${code}`);
  assert.deepEqual(await codes('user'), ['note CAPTURE_USER_CHECKPOINTS', 'note CAPTURE_PRIMARY_OF_REPLICA']);
  assert.deepEqual((await rig.backup('user')).warnings, []);
  await lab.createVm({ name: 'shielded', disks, shielded: true });
  assert.deepEqual(await codes('shielded'), ['warning CAPTURE_SHIELDED']);
  await lab.createVm({ name: 'copy', disks, replicationMode: 2, power: 'off' });
  assert.deepEqual(await codes('copy'), ['warning CAPTURE_REPLICA_VM']);
  const run = await rig.backup('copy');
  assert.deepEqual(
    [run.consistency.reached, run.warnings.map(({ code }) => code)],
    ['crash', ['CAPTURE_REPLICA_VM']],
  );
});

test('a plan says of each disk what the backup then does, and why', async () => {
  await using rig = await open();
  const { lab } = rig.stack;
  const { id, disks } = await lab.createVm({ name: 'web', disks: [{ size: 4 * MiB }, { size: 8 * MiB }] });
  const told = async (): Promise<unknown> => {
    const log = callLog(lab);
    const before = await rig.stored();
    const plan = await rig.plan('web');
    assert.deepEqual(
      [log.changes(), await rig.stored()],
      [[], before],
      'neither host nor repository changed',
    );
    const run = await rig.backup('web');
    assert.equal(plan.consistency.expected, run.consistency.reached);
    const planned = plan.disks.map(({ diskId, kind, reason }) => ({ diskId, kind, reason }));
    assert.deepEqual(
      planned,
      run.disks.map(({ diskId, kind, reason }) => ({ diskId, kind, reason })),
    );
    return planned.map(({ kind, reason }) => `${kind} ${reason}`);
  };
  const delta = 'delta changes-since-reference-point';
  assert.deepEqual(await told(), ['full first-backup', 'full first-backup']);
  assert.deepEqual(await told(), [delta, delta]);
  await lab.resizeDisk(id, disks[1]!.diskId, 16 * MiB);
  assert.deepEqual(await told(), [delta, 'compare size-changed']);
  await lab.setPower(id, 'off', { flushed: true });
  assert.deepEqual(await told(), [delta, delta]);
});

test('disks that are left out stand in the point, by what asked for it, and whoever restores it is told', async () => {
  await using rig = await open();
  const { lab } = rig.stack;
  const { id, disks } = await lab.createVm({
    name: 'db',
    disks: [
      { size: 4 * MiB, name: 'system' },
      { size: 4 * MiB, name: 'temp' },
    ],
  });
  await lab.addDrive(id, { kind: 'physical', path: 'disk-1' });
  const run = await rig.backup('db', { disks: { skip: ['temp'] }, skipUnprotectable: true });
  assert.deepEqual(
    run.disks.map(({ diskId }) => diskId),
    [disks[0]!.diskId.toLowerCase()],
  );
  const point = await rig.repository.point(run.pointId);
  assert.deepEqual(
    point.leftOut?.map(({ reason, diskId }) => [reason, diskId]),
    [
      ['asked', disks[1]!.diskId.toLowerCase()],
      ['unprotectable', undefined],
    ],
  );
  const told = await pointWarnings(rig.repository, { point }, {});
  assert.deepEqual(
    told.map(({ code }) => code),
    ['FLOW_LEFT_OUT_DISKS'],
  );
  assert.match(told[0]!.message, /temp\.vhdx, physical disk at scsi 0:2$/);
  assert.deepEqual(await pointWarnings(rig.repository, { point, diskIds: [point.disks[0]!.diskId] }, {}), []);
  await assert.rejects(rig.backup('db', { disks: { only: ['tmp'] } }), { code: 'CAPTURE_NO_SUCH_DISK' });
  const whole = await rig.backup('db', { disks: { only: ['1', '2'] } });
  assert.deepEqual(
    whole.disks.map(({ kind }) => kind),
    ['delta', 'full'],
  );
});

/** Files whose content, once the backup reads it, comes only when the run has been given up. */
function stalling(files: HostFiles, isReading: () => boolean): HostFiles {
  return {
    async open(path, options) {
      const reader = await files.open(path, options);
      return {
        size: reader.size,
        async read(offset, into, call = {}) {
          if (isReading()) await sleep(60_000, call.signal);
          return reader.read(offset, into, call);
        },
        close: () => reader.close(),
      };
    },
    describe: () => files.describe(),
    close: () => files.close(),
  };
}

for (const { what, code, limits, free } of [
  { what: 'a volume that falls below its floor', code: 'CAPTURE_VOLUME_FILLING', limits: {}, free: GiB },
  {
    what: 'a checkpoint past its budget',
    code: 'CAPTURE_CHECKPOINT_TOO_LARGE',
    limits: { checkpointBudget: { bytes: MiB } },
    free: 64 * GiB,
  },
]) {
  test(`${what} ends the run: no checkpoint stays, nothing is stored, and the next run is an increment of the old point`, async () => {
    await using rig = await open();
    const { lab, hyperv } = rig.stack;
    await lab.configure({ windows: { freeBytes: 64 * GiB } });
    const { id } = await lab.createVm({ name: 'busy', disks: [{ size: 32 * MiB }] });
    const first = await rig.backup('busy');
    let reading = false;
    const progress: Progress = {
      phase: (name) => {
        if (!name.startsWith('full')) return;
        reading = true;
        void lab.configure({ windows: { freeBytes: free } });
      },
      advance() {},
      note() {},
    };
    const plain = createFsHostFiles({ mappings: [{ from: 'C:\\', to: join(lab.volumesFolder, 'C') }] });
    const source = createHyperVSource({ hyperv, files: stalling(plain, () => reading), hostName: 'HV01' });
    const deps = { source, repository: rig.repository, resolveVm: (name: string) => hyperv.vm(name) };
    await lab.guestWrite(id, { offset: 0, length: MiB, seed: 1 });
    const asked = { vm: 'busy', full: true, workers: 0, lookEveryMs: 5, progress, ...limits };
    await assert.rejects(backupVm(deps, asked), { code });
    await plain.close();
    await lab.configure({ windows: { freeBytes: 64 * GiB } });
    await lab.settle();
    const { checkpoints, referencePoints } = await lab.vm(id);
    assert.deepEqual([checkpoints.length, referencePoints.length], [0, 1]);
    const next = await rig.backup('busy');
    assert.deepEqual(
      next.disks.map(({ kind }) => kind),
      ['delta'],
    );
    assert.equal((await rig.repository.point(next.pointId)).parent, first.pointId);
  });
}
