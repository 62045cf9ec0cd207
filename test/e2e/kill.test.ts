/**
 * kill -9. The connector dies at 30 moments of a backup: at random ones, and at each call that changes the host, before the
 * call had its effect and after it. Every time the next run succeeds without help, and leaves no checkpoint and one
 * reference point of ours. In the end every restore point, also those of killed runs that had come far enough, is exactly
 * the disks at one checkpoint.
 */
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../lab/model/random.ts';
import { KiB, MiB } from '../../src/base/index.ts';
import { restorePoint } from '../../src/flows/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { openRepository } from '../../src/repository/index.ts';
import { CliHome, LabProcess, type RunningCli } from './cli.fixture.ts';

const RANDOM_MOMENTS = 20;
/** Every call of a backup that changes the host, and the one that asks it most. */
const CALLS = [
  'CreateSnapshot',
  'ModifySystemSettings',
  'GetVirtualDiskChanges',
  'ConvertToReferencePoint',
  'DestroyReferencePoint',
];
/** Long enough to die before the effect, short enough for the effect to come before the next run looks for it. */
const EFFECT_DELAY_MS = 150;

const seed = Number(process.env['HVLIFT_TEST_SEED'] ?? Date.now() % 1_000_000);
const random = new Random(seed);

const lab = await LabProcess.start();
after(() => lab[Symbol.asyncDispose]());
// Not encrypted: deriving the key takes a third of each of the 60 runs, and nothing here depends on it.
const home = await CliHome.open(lab, 'plain');
after(() => home[Symbol.asyncDispose]());
const { id: db, disks } = await lab.client.createVm({
  name: 'db',
  disks: [{ size: 24 * MiB }, { size: 9 * MiB }],
});

interface Moment {
  readonly name: string;
  readonly argv: readonly string[];
  /** Called before the run starts. */
  readonly prepare?: () => Promise<void>;
  /** Resolves when the time has come; `workMs` is what the run before took from its checkpoint to its end. */
  readonly reached: (run: RunningCli, workMs: number) => Promise<void>;
}

test(`a backup killed at 30 moments costs the next run nothing; HVLIFT_TEST_SEED=${seed}`, async (context) => {
  await changeGuest(60);
  await home.ok('backup', 'db');
  let workMs = await wholeRun('at all');
  let killed = 0;
  for (const moment of momentsOf()) {
    await changeGuest(1 + random.below(12));
    if (await killedAt(moment, workMs)) killed += 1;
    workMs = await wholeRun(moment.name);
    assert.deepEqual(
      await lab.traces(db),
      { checkpoints: 0, referencePoints: 1 },
      `after a kill ${moment.name}`,
    );
  }
  assert.ok(killed >= 2 * CALLS.length, `${killed} runs were killed; those at a call always are`);
  context.diagnostic(`${killed} of ${RANDOM_MOMENTS + 2 * CALLS.length} runs died before their end`);
  const points = await assertEveryPointIsExact();
  context.diagnostic(`${points} restore points are exact`);
  await home.ok('verify');
  assert.deepEqual(await readdir(home.path('repo', '.incoming')), [], 'half-written files are swept away');
});

/** A run that must succeed. Returns its milliseconds from the first word about the checkpoint to the end. */
async function wholeRun(afterKill: string): Promise<number> {
  const run = home.start(['backup', 'db']);
  await run.said('checkpoint');
  const started = performance.now();
  const { code, stderr } = await run.ended;
  assert.equal(code, 0, `after a kill ${afterKill}: ${stderr}`);
  return performance.now() - started;
}

function momentsOf(): Moment[] {
  const anywhere = Array.from({ length: RANDOM_MOMENTS }, (_, index): Moment => {
    const percent = random.below(100);
    return {
      name: `${percent} % into a run`,
      argv: index % 2 === 0 ? ['--full'] : [],
      async reached(run, workMs) {
        await run.said('checkpoint');
        await sleep((workMs * percent) / 100);
      },
    };
  });
  const atCalls = CALLS.flatMap((method) => [atCall(method, EFFECT_DELAY_MS), atCall(method, 0)]);
  return random.shuffle([...anywhere, ...atCalls]);
}

/** When the host has heard the call. Without a delay its effect, or at least its job, is there. */
function atCall(method: string, effectDelayMs: number): Moment {
  const heard = async (): Promise<number> => (await lab.client.wireStats()).requests[method] ?? 0;
  let before = 0;
  return {
    name: `at ${method}, ${effectDelayMs} ms before its effect`,
    argv: [],
    async prepare() {
      before = await heard();
      if (effectDelayMs === 0) return;
      await lab.client.addFault({ method, misbehaviour: { kind: 'delay', milliseconds: effectDelayMs } });
    },
    async reached(run) {
      while (run.process.exitCode === null && (await heard()) === before) await sleep(2);
    },
  };
}

/** False when the run had ended before its moment came. */
async function killedAt(moment: Moment, workMs: number): Promise<boolean> {
  await moment.prepare?.();
  const run = home.start(['backup', 'db', ...moment.argv]);
  await moment.reached(run, workMs);
  run.process.kill('SIGKILL');
  const { code } = await run.ended;
  await lab.client.clearFaults();
  return code === null;
}

async function changeGuest(writes: number): Promise<void> {
  for (let n = 0; n < writes; n += 1) {
    const disk = disks[random.below(disks.length)]!;
    await lab.client.guestWrite(db, {
      diskId: disk.diskId,
      offset: random.below(disk.size / (64 * KiB)) * 64 * KiB,
      length: 64 * KiB,
      seed: random.next(),
    });
  }
}

/** Restores each point and finds the checkpoint that all its disks are the content of; later points, later checkpoints. */
async function assertEveryPointIsExact(): Promise<number> {
  const repository = await openRepository(await openDirectoryStore(home.path('repo')));
  const points = (await Array.fromAsync(repository.points())).toReversed();
  const seals = (await lab.client.seals(db)).filter(({ kind }) => kind === 'recovery');
  let next = 0;
  for (const point of points) {
    const folder = home.path('restored');
    const restored = await restorePoint(repository, { point, folder, format: 'raw' });
    const index = await sealOf(seals.slice(next), restored.disks);
    assert.ok(
      index >= 0,
      `restore point ${point.id} of ${point.created} is no checkpoint after that of the one before`,
    );
    next += index + 1;
    await rm(folder, { recursive: true });
  }
  assert.ok(points.length >= 2 + RANDOM_MOMENTS + 2 * CALLS.length);
  return points.length;
}

async function sealOf(
  seals: readonly { readonly id: string }[],
  images: readonly { readonly diskId: string; readonly path: string }[],
): Promise<number> {
  for (const [index, { id }] of seals.entries()) {
    const differences = await Promise.all(
      images.map(({ diskId, path }) => lab.client.compareImage(id, diskId, path)),
    );
    if (differences.every((difference) => difference === null)) return index;
  }
  return -1;
}
