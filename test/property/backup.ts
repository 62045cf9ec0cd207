/** A backup in the sequence: with whatever report of changes, whatever happens meanwhile, and whatever breaks. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MiB, isFault } from '../../src/base/index.ts';
import type { ConsistencyPolicy } from '../../src/capture/index.ts';
import { backupVm, type BackupRecord } from '../../src/flows/index.ts';
import { StoppedError } from '../../src/objectstore/index.ts';
import type { AuditBudget } from '../../src/repository/index.ts';
import type { LabOptions, Misbehaviour } from '../../lab/model/index.ts';
import { commands } from './command.ts';
import { changeGuest, guestChanges, type GuestChange } from './guest.ts';
import { loseReferencePoint, otherBackup, userCheckpoint } from './host-events.ts';
import { AUDITED_BYTES } from './lies.ts';
import { checkRun, observe, type Run } from './invariants.ts';
import { Cancelled, type Happening, type Trouble, type When } from './schedule.ts';
import { STRANGER, type World } from './world.ts';

/** A policy of its own for the same VM, with a baseline of its own. */
const SECOND = 'second';
/** A quiet run of a VM with two disks makes about 130 calls, the later half of them after the commit. */
const CALLS_MAX = 260;
/** Far more than a run takes in a busy minute: nothing hangs. */
const RUN_MS_MAX = 60_000;

const report: fc.Arbitrary<Partial<LabOptions['changes']>> = fc.record(
  {
    order: fc.constantFrom('sorted', 'reversed', 'shuffled'),
    coalesce: fc.boolean(),
    overlapping: fc.boolean(),
    overReport: fc.constantFrom(0, 0, 0.5, 2),
    pastEnd: fc.boolean(),
    rangesMax: fc.constantFrom(0, 1, 3, 4096),
    seed: fc.nat({ max: 99 }),
  },
  { noNullPrototype: true },
);

type Interference = GuestChange | { readonly what: 'lose' | 'user checkpoint' | 'other backup' | 'move' };

const interference: fc.Arbitrary<Interference> = fc.oneof(
  { weight: 8, arbitrary: guestChanges as fc.Arbitrary<Interference> },
  {
    weight: 1,
    arbitrary: fc.record(
      { what: fc.constantFrom('lose', 'user checkpoint', 'other backup', 'move') },
      { noNullPrototype: true },
    ) as fc.Arbitrary<Interference>,
  },
);

const misbehaviour: fc.Arbitrary<{ method: string; misbehaviour: Misbehaviour; after: number }> = fc
  .record(
    {
      method: fc.constantFrom(
        'CreateSnapshot',
        'ModifySystemSettings',
        'ConvertToReferencePoint',
        'DestroySnapshot',
        'DestroyReferencePoint',
        'GetVirtualDiskChanges',
        'GetVirtualHardDiskSettingData',
      ),
      misbehaviour: fc.constantFrom<Misbehaviour>(
        { kind: 'return', code: 32_775 },
        { kind: 'return', code: 32_768 },
        { kind: 'wmi-error', status: 0x80041001 },
        { kind: 'drop', when: 'before' },
        { kind: 'drop', when: 'after' },
        { kind: 'fail-job', code: 32_768 },
        { kind: 'fail-job', code: 32_768, afterEffect: true },
        { kind: 'warn-job' },
        { kind: 'vanish-job' },
        { kind: 'no-progress' },
        { kind: 'answer-by-job' },
      ),
      after: fc.nat({ max: 2 }),
    },
    { noNullPrototype: true },
  )
  .filter(({ method, misbehaviour }) => !(method === 'CreateSnapshot' && isJobThatLied(misbehaviour)));

/**
 * A job of CreateSnapshot that says it failed and leaves a checkpoint: it cannot be told from the checkpoint of another
 * tool that was faster, so ours stays, the user is told, and every later run is refused. That is decided, and not drawn.
 */
function isJobThatLied(misbehaviour: Misbehaviour): boolean {
  return misbehaviour.kind === 'fail-job' && misbehaviour.afterEffect === true;
}

/** Half of them at the steps whose order matters. */
const call: fc.Arbitrary<When> = fc.oneof(
  fc.integer({ min: 1, max: CALLS_MAX }),
  fc.constantFrom(
    'CreateSnapshot',
    'ModifySystemSettings',
    'putNew points/',
    'ConvertToReferencePoint',
    'putNew baselines/',
    'delete journal/',
    'DestroyReferencePoint',
    'delete baselines/',
  ),
);
const trouble = fc.record(
  {
    at: call,
    kind: fc.constantFrom<Trouble>(
      'lost before',
      'lost after',
      'death before',
      'death after',
      'death after',
      'cancel',
    ),
  },
  { noNullPrototype: true },
);

export interface BackupSpec {
  /** Whose baseline it continues; undefined: that of the repository. */
  readonly consumer?: string | undefined;
  readonly consistency: ConsistencyPolicy;
  readonly full: boolean;
  /** How much of what the host did not report is read again. */
  readonly audit: AuditBudget;
  readonly report: Partial<LabOptions['changes']>;
  readonly meanwhile: readonly { readonly at: When; readonly what: Interference }[];
  readonly trouble?: { readonly at: When; readonly kind: Trouble } | undefined;
  readonly host?:
    | { readonly method: string; readonly misbehaviour: Misbehaviour; readonly after: number }
    | undefined;
}

/** In so many of five runs. */
function sometimes<T>(inFive: number, drawn: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof(
    { weight: 5 - inFive, arbitrary: fc.constant(undefined) },
    { weight: inFive, arbitrary: drawn },
  );
}

const spec: fc.Arbitrary<BackupSpec> = fc.record(
  {
    consumer: sometimes(1, fc.constant(SECOND)),
    consistency: fc.constantFrom<ConsistencyPolicy>(
      'application-preferred',
      'application-preferred',
      'application-required',
      'crash',
    ),
    audit: fc.constantFrom<AuditBudget>('off', 'off', { bytes: MiB }, { percent: 100 }),
    full: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    report,
    meanwhile: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      {
        weight: 3,
        arbitrary: fc.array(fc.record({ at: call, what: interference }, { noNullPrototype: true }), {
          maxLength: 4,
        }),
      },
    ),
    trouble: sometimes(2, trouble),
    host: sometimes(1, misbehaviour),
  },
  { noNullPrototype: true },
);

export const QUIET: BackupSpec = {
  consistency: 'application-preferred',
  full: false,
  audit: 'off',
  report: {},
  meanwhile: [],
};

export const backupCommands = [{ weight: 14, arbitrary: commands('backup', spec, backUp) }] as const;

/** One run of ours from its start to its end, and every invariant after it. */
export async function backUp(world: World, drawn: BackupSpec): Promise<void> {
  const spec = world.lied ? watchful(drawn) : drawn;
  await world.lab.settle();
  const before = await observe(world, spec.consumer);
  await world.lab.configure({ changes: { ...PLAIN, ...spec.report, underReport: world.lies } });
  if (spec.host) await world.lab.addFault({ ...spec.host, spares: STRANGER });
  const lostBefore = world.knowledge.pointsLost;
  const ended = await attempt(world, spec);
  await world.lab.clearFaults();
  await world.lab.settle();
  const run: Run = {
    spec,
    before,
    ...ended,
    struck: world.schedule.struck,
    interfered: world.knowledge.pointsLost > lostBefore,
  };
  await checkRun(world, run);
}

/** Where the host lies, every run audits, and one consumer has all points, so that they are one line. */
function watchful(spec: BackupSpec): BackupSpec {
  return { ...spec, consumer: undefined, audit: { bytes: AUDITED_BYTES } };
}

const PLAIN: Partial<LabOptions['changes']> = {
  order: 'sorted',
  coalesce: true,
  overlapping: false,
  overReport: 0,
  pastEnd: false,
  rangesMax: 4096,
  seed: 1,
};

async function attempt(world: World, spec: BackupSpec): Promise<{ record?: BackupRecord; error?: unknown }> {
  const deps = await world.deps();
  const signal = world.schedule.start({
    happenings: spec.meanwhile.map((each) => happening(world, each)),
    trouble: spec.trouble,
  });
  const { consistency, full, audit, consumer } = spec;
  if (consumer) world.tally.count('run of the second consumer');
  const run = backupVm(deps, {
    vm: world.vmId,
    consumer,
    consistency,
    full,
    audit,
    signal,
    workers: 0,
    mergeTimeoutMs: 10_000,
  });
  try {
    return { record: await inTime(run, world) };
  } catch (error) {
    assertDeclared(error);
    return { error };
  } finally {
    world.schedule.stop();
  }
}

function happening(world: World, { at, what }: BackupSpec['meanwhile'][number]): Happening {
  const act = (): Promise<void> => {
    if (what.what === 'lose') return loseReferencePoint(world, 0);
    if (what.what === 'user checkpoint') return userCheckpoint(world);
    if (what.what === 'other backup') return otherBackup(world);
    if (what.what === 'move') return world.move();
    return changeGuest(world, what as GuestChange);
  };
  return { at, act };
}

/** A run that ends badly ends with one of our faults, which say what to do; anything else would meet the user as a stack. */
function assertDeclared(error: unknown): void {
  if (error instanceof StoppedError || error instanceof Cancelled) return;
  if (isFault(error) && error.kind !== 'bug') return;
  assert.fail(`a run ended with what is no fault for a user: ${(error as Error).stack}`);
}

async function inTime<T>(run: Promise<T>, world: World): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () =>
      late.reject(
        new assert.AssertionError({ message: `it hangs after ${world.schedule.calls.at(-1)?.name}` }),
      ),
    RUN_MS_MAX,
  );
  try {
    return await Promise.race([run, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
