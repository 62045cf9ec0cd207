/**
 * Lost tracking is not a new full: whatever keeps the host from telling what changed makes that disk, and only that one, a
 * compare. And an increment that the host lied about is found out by the audit.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import {
  backupVm,
  restorePoint,
  pointWarnings,
  suspectWarningsOfAll,
  SuspectPoints,
  type BackupRecord,
  type BackupRequest,
} from '../../src/flows/index.ts';
import { createMemoryStore } from '../../src/objectstore/index.ts';
import { createRepository, type Repository } from '../../src/repository/index.ts';
import { openLabStack, type LabStack } from './lab-stack.fixture.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-resync-'));
after(() => rm(folder, { recursive: true }));

const CELL = 64 * KiB;
/** From 12 of 16 cells on a slot is stored whole. */
const STORED_RATIO_MAX = 16 / 12;

interface Rig {
  readonly stack: LabStack;
  readonly repository: Repository;
  readonly vm: string;
  /** Of the two disks, in the order of their slots. */
  readonly disks: readonly string[];
}

/** A VM with two disks that hold data, of which one backup was made. */
async function rig(version = '10.0'): Promise<Rig & AsyncDisposable> {
  const stack = await openLabStack();
  try {
    const made = { stack, ...(await backedUpVm(stack, version)) };
    await backup(made);
    return { ...made, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
  } catch (error) {
    await stack[Symbol.asyncDispose](); // its servers would keep the process alive
    throw error;
  }
}

async function backedUpVm({ lab }: LabStack, version: string): Promise<Omit<Rig, 'stack'>> {
  const { repository } = await createRepository(createMemoryStore(), { encryption: 'none' });
  const { id, disks } = await lab.createVm({
    name: 'sql01',
    version,
    disks: [{ size: 24 * MiB }, { size: 9 * MiB + 512 * KiB }],
  });
  const diskIds = disks.map((disk) => disk.diskId.toLowerCase());
  for (const [n, diskId] of diskIds.entries())
    await lab.guestWrite(id, { diskId, offset: MiB, length: 5 * MiB, seed: n + 1 });
  return { repository, vm: id, disks: diskIds };
}

/** Without threads, which for disks of this size take longer to start than they save. */
function backup({ stack, repository, vm }: Rig, request: Partial<BackupRequest> = {}): Promise<BackupRecord> {
  const { source, hyperv } = stack;
  const resolveVm = (name: string, options: { signal?: AbortSignal | undefined }) => hyperv.vm(name, options);
  return backupVm({ source, repository, resolveVm }, { vm, workers: 0, audit: 'off', ...request });
}

function kindsOf(record: BackupRecord): string[] {
  return record.disks.map(({ kind, reason }) => `${kind} ${reason}`);
}

/** The newest point, against the truth the lab kept at the checkpoint. */
async function assertExact({ stack, repository, vm }: Rig, record: BackupRecord): Promise<void> {
  const seal = (await stack.lab.seals(vm)).at(-1)!;
  const to = join(folder, record.pointId);
  const point = await repository.point(record.pointId);
  const restored = await restorePoint(repository, { point, folder: to, format: 'raw' });
  for (const { diskId, path } of restored.disks)
    assert.equal(await stack.lab.compareImage(seal.id, diskId, path), null, `${path} is exact (I1)`);
  await rm(to, { recursive: true });
}

interface Loss {
  readonly what: string;
  readonly reason: string;
  /** The first disk only; else both. */
  readonly firstOnly: boolean;
  readonly version?: string;
  lose(rig: Rig): Promise<void>;
  /** Cells of the first disk that the loss itself changes. */
  readonly cells?: number;
}

const DELTA = 'delta changes-since-reference-point';

const LOSSES: readonly Loss[] = [
  {
    what: 'a reference point that is gone',
    reason: 'reference-point-lost',
    firstOnly: false,
    async lose({ stack, vm }) {
      for (const point of await stack.hyperv.referencePoints(vm.toLowerCase()))
        await stack.hyperv.destroyReferencePoint(point);
    },
  },
  {
    what: 'a change query that the host refuses',
    reason: 'change-query-failed',
    firstOnly: true,
    lose: ({ stack }) =>
      stack.lab.addFault({ method: 'GetVirtualDiskChanges', misbehaviour: { kind: 'return', code: 32_775 } }),
  },
  {
    what: 'a tracking id that the host does not know any more',
    reason: 'change-query-failed',
    firstOnly: true,
    lose: ({ stack, vm, disks }) => stack.lab.resetTracking(vm, disks[0]!),
  },
  {
    what: 'a file brought back from elsewhere, with the same identity and other bytes',
    reason: 'change-query-failed',
    firstOnly: true,
    cells: 3,
    lose: ({ stack, vm, disks }) =>
      stack.lab.exchangeDisk(vm, { diskId: disks[0]!, offset: 8 * MiB, length: 3 * CELL, seed: 9 }),
  },
  {
    what: 'a disk that grew',
    reason: 'size-changed',
    firstOnly: true,
    lose: ({ stack, vm, disks }) => stack.lab.resizeDisk(vm, disks[0]!, 300 * MiB),
  },
  {
    what: 'a disk whose file has another path',
    reason: 'chain-changed',
    firstOnly: true,
    async lose({ stack, vm, disks }) {
      await stack.lab.setPower(vm, 'off', { flushed: true });
      await stack.lab.moveDisk(vm, disks[0]!, 'C:\\elsewhere\\moved.vhdx');
      await stack.lab.setPower(vm, 'running');
    },
  },
  {
    what: 'a baseline that the repository lost',
    reason: 'no-baseline',
    firstOnly: false,
    async lose({ repository, vm }) {
      for (const baseline of await repository.baselines(vm.toLowerCase()))
        await repository.forgetBaseline(baseline);
    },
  },
  {
    what: 'a VM too old to be tracked',
    reason: 'tracking-unsupported',
    firstOnly: false,
    version: '5.0',
    lose: async () => {},
  },
];

for (const loss of LOSSES) {
  const { what, reason, firstOnly, version, cells = 0 } = loss;
  test(`${what}: ${reason} makes the disk a compare, ${firstOnly ? 'the other one stays a delta, ' : ''}and the chain goes on`, async () => {
    await using made = await rig(version);
    const { stack, repository, vm, disks } = made;
    const [first] = await Array.fromAsync(repository.points());
    await loss.lose(made);
    for (const diskId of disks) {
      await stack.lab.guestWrite(vm, { diskId, offset: 2 * MiB, length: 2 * CELL, seed: 77 });
      await stack.lab.guestTrim(vm, { diskId, offset: 5 * MiB, length: CELL });
    }
    const record = await backup(made);
    assert.deepEqual(kindsOf(record), [`compare ${reason}`, firstOnly ? DELTA : `compare ${reason}`]);
    for (const [n, disk] of record.disks.entries()) {
      const differs = (3 + (n === 0 ? cells : 0)) * CELL;
      assert.equal(disk.changedBytes, differs, 'counted is what differs, in cells');
      assert.ok(disk.newBytes <= differs * STORED_RATIO_MAX, `${disk.newBytes} stored, ${differs} differ`);
    }
    await assertExact(made, record);
    assert.equal((await repository.point(record.pointId)).parent, first!.id);

    await stack.lab.guestWrite(vm, { offset: 3 * MiB, length: CELL, seed: 78 });
    const next = await backup(made);
    const after = version === undefined ? DELTA : `compare ${reason}`;
    assert.deepEqual(kindsOf(next), [after, after]);
    assert.equal(next.disks[0]!.changedBytes, CELL);
    await assertExact(made, next);
  });
}

test('another disk in the slot is compared with the one before it; one in an empty slot has nothing to be compared with', async () => {
  await using made = await rig();
  const { stack, vm, disks } = made;
  const replaced = await stack.lab.replaceDisk(vm, disks[0]!, { size: 24 * MiB });
  await stack.lab.guestWrite(vm, { diskId: replaced.diskId, offset: MiB, length: 5 * MiB, seed: 1 });
  const added = await stack.lab.addDisk(vm, { size: 4 * MiB });
  await stack.lab.guestWrite(vm, { diskId: added.diskId, offset: 0, length: CELL, seed: 3 });
  const record = await backup(made);
  assert.deepEqual(kindsOf(record).sort(), ['compare new-disk', DELTA, 'full new-disk'].sort());
  const compared = record.disks.find(({ kind }) => kind === 'compare')!;
  assert.deepEqual(
    [compared.changedBytes, compared.newBytes],
    [0, 0],
    'the same content under another identity',
  );
  await assertExact(made, record);
  const next = await backup(made);
  assert.deepEqual(kindsOf(next), [DELTA, DELTA, DELTA]);
});

test('a full that is asked for trusts nothing that was there before', async () => {
  await using made = await rig();
  const record = await backup(made, { full: true });
  assert.deepEqual(kindsOf(record), ['full requested', 'full requested']);
  assert.equal(record.disks[0]!.newBytes, 0);
  await assertExact(made, record);
});

test('an unreported write is an alarm: the disk is compared, the point is right, the ones since the last audit are suspect', async () => {
  await using made = await rig();
  const { stack, repository, vm, disks } = made;
  const diskId = disks[0]!;
  const audited = await backup(made, { audit: { percent: 100 } });
  assert.equal(audited.outcome, 'ok');
  assert.deepEqual(audited.disks[0]!.audit?.withinRuns, 1);
  await stack.lab.configure({ changes: { underReport: 1 } });
  await stack.lab.guestWrite(vm, { diskId, offset: 4 * MiB + 512, length: 1024, seed: 5 });
  const lied = [await backup(made)];
  await stack.lab.configure({ changes: { underReport: 0 } });
  lied.push(await backup(made));
  assert.deepEqual(kindsOf(lied[1]!), [DELTA, DELTA]);

  const found = await backup(made, { audit: { percent: 100 } });
  assert.deepEqual(kindsOf(found), ['compare audit-mismatch', DELTA]);
  assert.equal(found.outcome, 'warnings');
  assert.deepEqual(
    found.warnings.map(({ code }) => code),
    ['FLOW_CHANGES_NOT_REPORTED'],
  );
  const { audit, changedBytes } = found.disks[0]!;
  assert.deepEqual([audit!.mismatchBytes, changedBytes], [CELL, CELL]);
  assert.deepEqual(audit!.suspectPoints, [lied[1]!.pointId, lied[0]!.pointId]);
  await assertExact(made, found);

  const last = await backup(made, { audit: { percent: 100 } });
  assert.equal(last.outcome, 'ok', 'what was found once is right from then on');
  const suspects = new SuspectPoints();
  const marked: string[] = [];
  for await (const point of repository.points())
    if (suspects.of(point)?.diskIds.has(diskId)) marked.push(point.id);
  assert.deepEqual(marked, [lied[1]!.pointId, lied[0]!.pointId]);
  await assertDoubted(repository, lied[0]!.pointId, found.pointId);
  assert.deepEqual(await pointWarnings(repository, { point: await repository.point(last.pointId) }, {}), []);
  assert.equal((await repository.verify({ workers: 0 })).problems.length, 0);
});

/** Whoever uses the suspect point is told which disk it is about and whose audit found it; who uses the other disk is not. */
async function assertDoubted(repository: Repository, suspect: string, alarm: string): Promise<void> {
  const point = await repository.point(suspect);
  const [doubt, ...more] = await pointWarnings(repository, { point }, {});
  assert.deepEqual([doubt!.code, more], ['FLOW_POINT_SUSPECT', []]);
  assert.match(
    doubt!.message,
    new RegExp(`^restore point ${suspect} may lack changes of disk 1: .* ${alarm} `),
  );
  const other = { point, diskIds: [point.disks[1]!.diskId] };
  assert.deepEqual(await pointWarnings(repository, other, {}), []);
  assert.equal((await suspectWarningsOfAll(repository, {})).length, 2);
}

test('a disk that becomes unallocated without a report is found too', async () => {
  await using made = await rig();
  const { stack, vm, disks } = made;
  await stack.lab.configure({ changes: { underReport: 1 } });
  await stack.lab.guestTrim(vm, { diskId: disks[0]!, offset: MiB, length: 5 * MiB });
  const found = await backup(made, { audit: { percent: 100 } });
  assert.equal(found.disks[0]!.reason, 'audit-mismatch');
  assert.equal(found.disks[0]!.audit!.mismatchBytes, 5 * MiB);
  await assertExact(made, found);
});
