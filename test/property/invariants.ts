/** The invariants of docs/architecture.md, each by its name, after every run. */
import assert from 'node:assert/strict';
import { hasCode, isFault } from '../../src/base/index.ts';
import type { BackupRecord, DiskBackupRecord } from '../../src/flows/index.ts';
import type { BaselineRecord, RestorePoint } from '../../src/repository/index.ts';
import type { SealState, VmInfo } from '../../lab/model/index.ts';
import type { BackupSpec } from './backup.ts';
import { expectedReasons } from './expectation.ts';
import type { KnownPoint } from './knowledge.ts';
import { judgeLies, noteWrong } from './lies.ts';
import type { World } from './world.ts';

/** What can be seen from outside before a run. */
export interface Before {
  readonly vm: VmInfo;
  readonly seals: number;
  /** Restore points there are. */
  readonly points: number;
  /** Recorded baselines of the consumer, newest first. */
  readonly recorded: readonly BaselineRecord[];
  /** The newest of them whose reference point stands on the host. */
  readonly usable: BaselineRecord | undefined;
  /** Those that other consumers can continue from; each one's newest. */
  readonly others: readonly BaselineRecord[];
  readonly changes: ReadonlyMap<string, number>;
}

export interface Run {
  readonly spec: BackupSpec;
  readonly before: Before;
  readonly record?: BackupRecord;
  readonly error?: unknown;
  /** What the trouble hit; undefined when the run was over before. */
  readonly struck: string | undefined;
  /** Somebody destroyed a reference point of ours meanwhile. */
  readonly interfered: boolean;
}

export async function observe(world: World, consumer?: string): Promise<Before> {
  const repository = await world.looker();
  const vm = await world.vm();
  const all = await repository.baselines(world.vmId);
  const recorded = all.filter((each) => each.consumer === consumer);
  const others = all.filter((each) => each.consumer !== consumer && stands(vm, each.referencePointId));
  return {
    vm,
    others: [...new Map(others.toReversed().map((each) => [each.consumer, each])).values()],
    seals: (await world.lab.seals(world.vmId)).length,
    points: world.knowledge.points.size,
    recorded,
    usable: recorded.find((each) => stands(vm, each.referencePointId)),
    changes: world.knowledge.changesNow(),
  };
}

function stands(vm: VmInfo, referencePointId: string): boolean {
  return vm.referencePoints.some(({ id }) => `Microsoft:${id}` === referencePointId);
}

export async function checkRun(world: World, run: Run): Promise<void> {
  tell(world, run);
  const fresh = await adoptNewPoints(world, run);
  const { record } = run;
  assert.deepEqual(world.audit.violations, [], 'I6: nothing is read after the conversion');
  assert.deepEqual(world.violations, [], 'nothing was broken in the middle of the run');
  await checkBaselineSurvives(world, run);
  if (record) {
    assert.deepEqual(
      fresh.map((each) => each.id),
      [record.pointId],
      'I11: a run that ends well leaves its restore point, and no other',
    );
  } else {
    checkRefusal(world, run);
  }
  for (const point of fresh) await checkPoint(world, run, point);
  if (record && (record.outcome === 'ok' || isQuiet(run))) await checkTidy(world, run, record);
  for (const point of fresh) await checkContent(world, point);
  if (world.lied) for (const point of fresh) await judgeLies(world, point);
}

function tell({ tally }: World, { spec, struck, error, record }: Run): void {
  if (struck) tally.count(`trouble: ${struck.replace(/ call \d+|: .*$/g, '')}`);
  if (spec.host) tally.count(`the host may fail: ${spec.host.misbehaviour.kind}`);
  if (record) tally.count(`run: ${record.outcome}`);
  else
    tally.count(`run refused or broken: ${isFault(error) ? error.code : (error as Error).constructor.name}`);
  for (const { code } of record?.warnings ?? []) tally.count(`warning: ${code}`);
  for (const { reason } of record?.disks ?? []) tally.count(`read: ${reason}`);
}

/** Undisturbed: neither our calls nor the host failed. Guest writes and reports of whatever form are no disturbance. */
function isQuiet({ spec, struck }: Run): boolean {
  return (
    struck === undefined && spec.host === undefined && spec.meanwhile.every(({ what }) => 'place' in what)
  );
}

/** A restore point that was not there belongs to the last checkpoint this run made. */
async function adoptNewPoints(world: World, run: Run): Promise<KnownPoint[]> {
  const repository = await world.looker();
  const points = await Array.fromAsync(repository.points({ vmId: world.vmId }));
  const fresh = points.filter(({ id }) => !world.knowledge.points.has(id));
  assert.ok(fresh.length <= 1, `one run made ${fresh.length} restore points`);
  assert.equal(points.length - fresh.length, world.knowledge.points.size, 'no restore point disappears');
  const made = (await world.lab.seals(world.vmId)).slice(run.before.seals);
  return fresh.map(({ id }) => {
    const seal = made.findLast((each) => isOurs(world, each));
    assert.ok(seal, 'I3: a restore point comes from a checkpoint of its run');
    const untouched = run.spec.meanwhile.length === 0 && run.before.vm.cachedWrites === 0;
    const known: KnownPoint = {
      id,
      seal,
      lives: world.knowledge.livesNow(),
      wrong: new Map(),
      ...(untouched ? { changes: run.before.changes } : {}),
    };
    world.knowledge.points.set(id, known);
    return known;
  });
}

function isOurs(world: World, seal: SealState): boolean {
  return seal.kind === 'recovery' && !world.knowledge.foreignSeals.has(`Microsoft:${seal.id}`);
}

/** I5, from outside: whatever happened, what could be continued before can be continued now, from the old or the new mark. */
async function checkBaselineSurvives(world: World, run: Run): Promise<void> {
  if (run.interfered) return;
  const after = await observe(world, run.spec.consumer);
  const repository = await world.looker();
  for (const { pointId } of run.before.others)
    assert.ok(
      after.others.some((each) => each.pointId === pointId),
      'I5: a run leaves the baselines of other consumers alone',
    );
  if (!run.before.usable) return;
  assert.ok(after.usable, 'I5: the old baseline or a new one stands after every run');
  await repository.point(after.usable.pointId);
}

/** Which refusals are right, when nothing was disturbed. */
function checkRefusal(world: World, run: Run): void {
  if (!isQuiet(run)) return;
  const { error, before, spec } = run;
  const { vm } = before;
  const { foreign } = world.knowledge;
  const blocked = vm.checkpoints.some(
    ({ id, kind }) => kind === 'recovery' && foreign.has(`Microsoft:${id}`),
  );
  if (blocked && names(error, 'CAPTURE_FOREIGN_CHECKPOINT')) return;
  if (vm.disks.length === 0) return assertCode(error, 'CAPTURE_NO_DISKS');
  const guestAnswers = vm.power === 'running' && vm.vss === 'ok';
  if (spec.consistency === 'application-required' && !guestAnswers && vm.power !== 'off')
    return assertCode(error, 'CAPTURE_NOT_APPLICATION_CONSISTENT');
  throw new Error('an undisturbed run must succeed', { cause: error });
}

/** Of several refusals each is in the list of all. */
function names(error: unknown, code: string): boolean {
  if (hasCode(error, code)) return true;
  return hasCode(error, 'CAPTURE_SEVERAL_OBSTACLES') && error.message.includes(`${code}: `);
}

function assertCode(error: unknown, code: string): void {
  assert.ok(names(error, code), `refused with ${code}, not with ${String(error)}`);
}

async function checkPoint(world: World, run: Run, known: KnownPoint): Promise<void> {
  const point = await (await world.looker()).point(known.id);
  checkOneInstant(point, known.seal);
  checkConsistency(run, point, known.seal);
  checkReasons(world, run, point);
  await checkNoChange(world, run, point, known);
}

/** I3; that the bytes are of one instant too, I1 shows: the guest writes on while disks are read. */
function checkOneInstant(point: RestorePoint, seal: SealState): void {
  const ids = (disks: readonly { diskId: string; size: number }[]): string[] =>
    disks.map(({ diskId, size }) => `${diskId.toLowerCase()} of ${size} bytes`).sort();
  assert.deepEqual(ids(point.disks), ids(seal.disks), 'I3: every disk of the checkpoint, with its size then');
}

function checkConsistency(run: Run, point: RestorePoint, seal: SealState): void {
  const { reached, asked } = point.consistency;
  const { power, vss } = run.before.vm;
  if (reached !== 'crash') assert.equal(seal.consistency, 'application', `I9: recorded ${reached}`);
  if (reached === 'offline') assert.equal(power, 'off', 'I9: offline');
  if (asked === 'application-required')
    assert.notEqual(reached, 'crash', 'I9: required is reached or refused');
  const canBeHad = power === 'running' && vss === 'ok' && asked !== 'crash' && isQuiet(run);
  if (canBeHad) assert.equal(reached, 'application', 'what the guest gives is recorded');
}

/** I8: each disk for a reason that holds; a delta only when the host's marks allow one. */
function checkReasons(world: World, run: Run, point: RestorePoint): void {
  for (const disk of point.disks) {
    const expected = expectedReasons(world, run, disk);
    const allowed = isQuiet(run)
      ? expected
      : [...expected.filter((reason) => reason !== DELTA), ...LOST_MEANWHILE];
    const reasons = expected.includes(DELTA) ? [...allowed, DELTA] : allowed;
    assert.ok(
      reasons.includes(disk.reason),
      `I8: ${disk.diskId} was read as ${disk.kind}, ${disk.reason}; right would be ${reasons.join(' or ')}`,
    );
    assert.equal(disk.kind === 'delta', disk.reason === DELTA, 'I8: kind and reason agree');
  }
}

const DELTA = 'changes-since-reference-point';
/** When things break in the middle, a full is always allowed; why, it must say. */
const LOST_MEANWHILE = ['reference-point-lost', 'change-query-failed', 'chain-changed'];

/** I10: where nothing was written since the baseline, an increment is empty and the disk's map is the same. */
async function checkNoChange(world: World, run: Run, point: RestorePoint, known: KnownPoint): Promise<void> {
  const base = world.knowledge.points.get(run.before.usable?.pointId ?? '');
  if (!known.changes || !base?.changes || !run.record) return;
  const { disks } = await (await world.looker()).point(base.id);
  for (const disk of point.disks) {
    const id = disk.diskId.toLowerCase();
    if (disk.kind !== 'delta' || known.changes.get(id) !== base.changes.get(id)) continue;
    const stored: DiskBackupRecord = run.record.disks.find((each) => each.diskId === disk.diskId)!;
    assert.equal(stored.changedBytes, 0, 'I10: no write, no change');
    assert.equal(stored.readBytes, 0, 'I10: no change, no read');
    assert.deepEqual(disk.root, disks.find((each) => each.diskId === disk.diskId)!.root, 'I10: the same map');
  }
}

/** I4, I7 and I11: what is left on the host after success. */
async function checkTidy(world: World, run: Run, record: BackupRecord): Promise<void> {
  const { knowledge } = world;
  const vm = await world.vm();
  const ours = (each: { id: string }): boolean => !knowledge.foreign.has(`Microsoft:${each.id}`);
  assert.deepEqual(vm.checkpoints.filter(ours), [], 'I4: no checkpoint of ours after success');
  if (record.warnings.some(({ code }) => code === 'CAPTURE_ORPHAN_UNKNOWN')) knowledge.abandoned += 1;
  const points = vm.referencePoints.filter(ours);
  const repository = await world.looker();
  const all = await repository.baselines(world.vmId);
  const recorded = all.filter(({ consumer }) => consumer === run.spec.consumer);
  assert.equal(recorded.length, 1, 'I4: one baseline is recorded after success');
  assert.equal(recorded[0]!.pointId, record.pointId, 'I4: the baseline is the new restore point');
  if (!run.interfered) {
    assert.ok(stands(vm, recorded[0]!.referencePointId), 'I4: its reference point stands');
    const most = all.length + knowledge.abandoned;
    assert.ok(points.length <= most, `I4: ${points.length} reference points of ours, not ${most}`);
  }
  assert.deepEqual(await repository.journal.notes(world.vmId), [], 'nothing is noted as under way');
  if (record.outcome === 'ok')
    assert.equal(vm.mergePending, false, 'I11: success means that the AVHDX is merged');
}

/** I7: after every step, not only after ours. */
export async function checkForeign(world: World): Promise<void> {
  const { checkpoints, referencePoints } = await world.vm();
  const there = new Set([...checkpoints, ...referencePoints].map(({ id }) => `Microsoft:${id}`));
  const gone = [...world.knowledge.foreign].filter((id) => !there.has(id));
  assert.deepEqual(gone, [], 'I7: what belongs to others stands');
}

/** At the end of a sequence: what was right when it was made has to be right still. */
export async function checkEveryPoint(world: World): Promise<void> {
  for (const point of world.knowledge.points.values()) await checkContent(world, point);
}

/** I1, and with it I2: a change that was not captured shows as a byte that is not the truth. */
async function checkContent(world: World, known: KnownPoint): Promise<void> {
  const { id, seal } = known;
  const repository = await world.looker();
  const point = await repository.point(id);
  for (const disk of point.disks) {
    const truth = await world.lab.truthReader(seal.id, disk.diskId);
    const { logicalSectorSize } = disk;
    const stored = repository.openDisk(disk.root, disk.size, { logicalSectorSize });
    try {
      const at = await truth.firstDifference(stored);
      if (world.lied) await noteWrong(known, disk, { truth, stored, isWrong: at !== undefined });
      else assert.equal(at, undefined, `I1: ${disk.kind} of ${disk.diskId} in ${id} is wrong at byte ${at}`);
    } finally {
      await stored.close();
      await truth.close();
    }
  }
}
