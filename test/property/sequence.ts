/** A sequence: a world, the commands of all parties in turn, and at the end one quiet backup and every restore point. */
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { MiB } from '../../src/base/index.ts';
import { restorePoint } from '../../src/flows/index.ts';
import { backupCommands, backUp, QUIET } from './backup.ts';
import { commands, pick, type Command } from './command.ts';
import { diskCommands, diskSizes, sectors } from './disks.ts';
import { guestCommands } from './guest.ts';
import { hostCommands, otherBackup } from './host-events.ts';
import { checkEveryPoint, checkForeign } from './invariants.ts';
import { AUDITED_BYTES, checkNothingWrong } from './lies.ts';
import { lyingSequences } from './lying-host.ts';
import type { Tally } from './tally.ts';
import { userTrials } from './user-trial.ts';
import { GRANULARITIES, World, type Setup } from './world.ts';

const setups: fc.Arbitrary<Setup> = fc
  .record(
    {
      disks: fc.array(fc.record({ size: diskSizes, sector: sectors }, { noNullPrototype: true }), {
        minLength: 1,
        maxLength: 2,
      }),
      /** How the program reaches the host: few sequences as in practice, which costs twenty times as much. */
      reached: fc.oneof(
        { weight: 169, arbitrary: fc.constant({ wire: false }) },
        { weight: 20, arbitrary: fc.constant({ wire: false, cluster: true }) },
        { weight: 1, arbitrary: fc.constant({ wire: true }) },
      ),
      encrypted: fc.oneof(
        { weight: 149, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
      ),
      granularity: fc.constantFrom(...GRANULARITIES),
      undoneIds: fc.constantFrom('refused', 'answered'),
    },
    { noNullPrototype: true },
  )
  .map(({ reached, ...setup }) => ({ ...setup, ...reached }));

/** A restore as a user makes it, of any point there is, into image files. */
async function restore(world: World, { which }: { which: number }): Promise<void> {
  const known = pick([...world.knowledge.points.values()], which);
  if (!known) return;
  const repository = await world.repository();
  const folder = join(world.folder, 'restored');
  await mkdir(folder, { recursive: true });
  const point = await repository.point(known.id);
  const { disks } = await restorePoint(repository, { point, folder, format: 'raw', workers: 0 });
  for (const { diskId, path } of disks) {
    const at = await world.lab.compareImage(known.seal.id, diskId, path);
    // Where the host had lied the image is what was stored, and is wrong in the same place.
    const wrong = known.wrong.get(diskId) ?? [];
    const isRight = at === null ? wrong.length === 0 : wrong[0] === Math.floor(at / MiB);
    assert.ok(isRight, `I1: the restored image of ${diskId} is wrong at byte ${at}`);
  }
  await rm(folder, { recursive: true });
}

const command: fc.Arbitrary<Command> = fc.oneof(
  ...guestCommands,
  ...backupCommands,
  ...hostCommands,
  ...diskCommands,
  ...userTrials,
  {
    weight: 1,
    arbitrary: commands(
      'restore',
      fc.record({ which: fc.nat({ max: 9 }) }, { noNullPrototype: true }),
      restore,
    ),
  },
);

export interface Sequence {
  readonly setup: Setup;
  readonly steps: readonly Command[];
}

function steps(minLength: number, maxLength: number): fc.Arbitrary<Command[]> {
  return fc.array(command, { minLength, maxLength, size: 'max' });
}

/** Most of them short: what a long one finds, several short ones nearly always find for the same time. */
const honest: fc.Arbitrary<Sequence> = fc.record(
  {
    setup: setups,
    steps: fc.oneof({ weight: 7, arbitrary: steps(2, 6) }, { weight: 1, arbitrary: steps(6, 16) }),
  },
  { noNullPrototype: true },
);

export const sequences: fc.Arbitrary<Sequence> = fc.oneof(
  { weight: 39, arbitrary: honest },
  { weight: 1, arbitrary: lyingSequences(command) },
);

/** Runs the sequence; throws what is broken, with the step it showed at. */
export async function play({ setup, steps }: Sequence, tally: Tally): Promise<void> {
  await using world = await World.open(setup, tally);
  tally.count(setup.wire ? 'sequence over the wire' : 'sequence');
  if (setup.cluster) tally.count('sequence on a cluster');
  if (setup.encrypted) tally.count('sequence with encryption');
  for (const [index, step] of steps.entries()) {
    tally.count(`step: ${step.name}`);
    await during(`step ${index + 1}, ${step.name}`, world, async () => {
      await step.run(world);
      await checkForeign(world);
    });
  }
  await during('the end', world, () => conclude(world));
}

/** The other tool goes, merges go on, and one more run cleans up: then nothing of ours but one mark is left (I4). */
async function conclude(world: World): Promise<void> {
  await world.lab.setGuest(world.vmId, { vss: 'ok' });
  await world.lab.setPower(world.vmId, 'running');
  await world.lab.holdMerges(world.vmId, false);
  await world.lab.settle();
  const { checkpoints, disks } = await world.vm();
  const waiting = checkpoints.some(({ id }) => world.knowledge.foreignSeals.has(`Microsoft:${id}`));
  if (waiting) await otherBackup(world);
  if (disks.length > 0) await backUp(world, QUIET);
  if (world.lies > 0) await letTheAuditFind(world);
  await checkForeign(world);
  await checkEveryPoint(world);
}

/** The host lies no more, and the audit goes its round: after as many increments as it promises, the disks are right (I1). */
async function letTheAuditFind(world: World): Promise<void> {
  world.tally.count(`a host that lied in ${world.lies * 100} % of its changes`);
  world.lies = 0;
  const sizes = (await world.vm()).disks.map(({ size }) => size);
  const rounds = Math.max(0, ...sizes.map((size) => Math.ceil(size / AUDITED_BYTES)));
  for (let run = 0; run < rounds; run += 1) await backUp(world, QUIET);
  await checkNothingWrong(world);
}

async function during(where: string, world: World, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const struck = world.schedule.struck ? ` (${world.schedule.struck})` : '';
    throw new Error(`${where}${struck}: ${(error as Error).message}`, { cause: error });
  }
}
