/**
 * A host that lies about changes, increment after increment: how long a lie stands before the audit finds it, against what the
 * audit promises. What must hold in every increment until then, and which restore points are marked, `lies.ts` judges.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB, MiB } from '../../src/base/index.ts';
import { Random } from '../../lab/model/random.ts';
import { backUp, QUIET } from './backup.ts';
import { answerAtOnce } from './immediate-files.ts';
import { checkEveryPoint } from './invariants.ts';
import { checkNothingWrong } from './lies.ts';
import { Tally } from './tally.ts';
import { World } from './world.ts';

answerAtOnce();

const SIZE = 8 * MiB;
const GRANULE = 4 * KiB;
/** On 128 cells: a lie counts only while nothing else of its cell is reported. */
const WRITES = 40;
const FOUND = /^(\d+) × a lie was found after (\d+) of at most (\d+) increments$/;

/** So many rounds of writes and a backup each; then the host lies no more, and the audit goes its round. */
async function increments({ lies, seed, runs }: Lies, tally: Tally): Promise<void> {
  const disk = { size: SIZE, sector: 512 as const };
  const setup = { disks: [disk], wire: false, encrypted: false, granularity: GRANULE, lies };
  await using world = await World.open(setup, tally);
  const random = new Random(seed);
  for (let run = 0; run < runs; run += 1) {
    for (let n = 0; n < WRITES; n += 1) {
      const offset = random.below(SIZE / GRANULE) * GRANULE;
      await world.lab.guestWrite(world.vmId, { offset, bytes: random.bytes(GRANULE) });
    }
    world.knowledge.changed((await world.vm()).disks[0]!.diskId);
    // Which granules are kept back follows from the seed: others each time.
    await backUp(world, { ...QUIET, report: { seed: seed * runs + run } });
  }
  world.lies = 0;
  for (let run = 0; run < SIZE / MiB; run += 1) await backUp(world, QUIET);
  await checkNothingWrong(world);
  await checkEveryPoint(world);
}

function foundAfter(tally: Tally): number[] {
  return tally.lines().flatMap((line) => {
    const [, times, after] = FOUND.exec(line) ?? [];
    return times === undefined ? [] : Array.from({ length: Number(times) }, () => Number(after));
  });
}

interface Lies {
  /** Share of the changes that is kept back. */
  readonly lies: number;
  readonly seed: number;
  readonly runs: number;
}

/** What the audit reads is drawn: one host in thirty of those that lie most is found out less than twice. */
const AGAIN_MAX = 4;
const AGAIN_SEED = 100;

/** `least`: so often something must have been found, or nothing was shown. */
for (const { least, ...kind } of [
  { lies: 0.005, seed: 1, runs: 40, least: 2 },
  { lies: 0.05, seed: 2, runs: 8, least: 2 },
])
  test(`changes kept back in ${kind.lies * 100} % of the ranges are found within the bound, and every point that lacks them is marked`, async (t) => {
    const tally = new Tally();
    let found: number[] = [];
    for (let again = 0; found.length < least && again < AGAIN_MAX; again += 1) {
      await increments({ ...kind, seed: kind.seed + again * AGAIN_SEED }, tally);
      found = foundAfter(tally);
    }
    assert.ok(
      found.length >= least,
      `only ${found.length} times something was found: the test shows nothing`,
    );
    const mean = found.reduce((sum, runs) => sum + runs, 0) / found.length;
    t.diagnostic(
      `found ${found.length} times, after ${mean.toFixed(1)} increments on average and ${Math.max(...found)} at most; promised: ${SIZE / MiB}`,
    );
  });
