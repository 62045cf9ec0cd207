/**
 * Hostile servers, in number: real answers are damaged, each in another way, and fed to what reads them.
 *
 *   Campaign   what is attacked, and how one damaged input is made of a stream of random numbers
 *   hammer     feeds many inputs, and judges what became of each:
 *                read        nothing noticed; what came out still keeps its promises
 *                a code      refused with a fault of a kind a user can act on, never `bug`
 *              and ends with a failure for anything else: a crash (also one disguised as a fault: a TypeError for its cause),
 *              a hang (watchdog.ts), memory asked for because a field said so (allocations.ts), an input that reached nothing.
 *
 *   HVLIFT_SEED=1234         the inputs of a run that began with this seed
 *   HVLIFT_SEED=1234:56789   the one input that a failure named
 *   HVLIFT_INPUTS=300000     so many inputs for each campaign
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFault } from '../../src/base/index.ts';
import { Random } from '../../lab/model/random.ts';
import { Allocations } from './allocations.ts';
import { startWatchdog } from './watchdog.ts';

/** Feeds one input; resolves with `read` or the code of the fault. */
export type Attack = (random: Random) => string | Promise<string>;

export interface Campaign {
  readonly name: string;
  /** The largest piece of memory that one input may make us ask for, in bytes. */
  readonly allocationBytesMax: number;
  /** These must come up, or the damage does not reach what it is meant for. */
  readonly meets: readonly string[];
  start(): Attack | Promise<Attack>;
}

/** Of what lives at the end of a batch, above what lived at the beginning: collected or not, it stays in bounds. */
const GROWTH_BYTES_MAX = 512 * 1024 * 1024;
const BATCH = 1000;

/**
 * Each campaign as a test. `seed`: the same inputs every time; without it others each time. All is fed before the first test
 * begins, because from then on node:test follows every promise, which takes as long again.
 */
export async function hammer(campaigns: readonly Campaign[], usual: number, seed?: number): Promise<void> {
  const inputs = Number(process.env['HVLIFT_INPUTS'] ?? usual);
  const [given, only] = (process.env['HVLIFT_SEED'] ?? '').split(':');
  const start = given ? Number(given) : (seed ?? Math.floor(Math.random() * 2 ** 31));
  const range = only ? { from: Number(only), to: Number(only) + 1 } : { from: 0, to: inputs };
  const ends: PromiseSettledResult<Map<string, number>>[] = [];
  for (const campaign of campaigns) {
    ends.push(...(await Promise.allSettled([feedAll(campaign, start, range)])));
  }
  campaigns.forEach(({ name, meets }, index) => {
    void test(`${name}: ${inputs} damaged inputs are read or refused`, (t) => {
      const fed = ends[index]!;
      if (fed.status === 'rejected') throw fed.reason;
      t.diagnostic(`${name}, seed ${start}: ${textOf(fed.value)}`);
      if (given || process.env['HVLIFT_INPUTS']) return; // fewer, or chosen: not everything comes up
      const missed = meets.filter((outcome) => !fed.value.has(outcome));
      assert.deepEqual(missed, [], `outcomes that never came up; there were ${textOf(fed.value)}`);
    });
  });
}

async function feedAll(
  campaign: Campaign,
  seed: number,
  { from, to }: { from: number; to: number },
): Promise<Map<string, number>> {
  const tally = new Map<string, number>();
  const attack = await campaign.start();
  await using watchdog = startWatchdog(campaign.name, seed);
  using allocations = new Allocations(campaign.allocationBytesMax);
  const before = livingBytes();
  for (let input = from; input < to; input += 1) {
    watchdog.feeding(input);
    try {
      const outcome = await attack(new Random(seed + Math.imul(input, 0x9e37_79b1)));
      tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
      allocations.check();
      if (input % BATCH === 0) assert.ok(livingBytes() - before < GROWTH_BYTES_MAX, 'memory grows');
    } catch (error) {
      throw new Error(`${campaign.name}: again with HVLIFT_SEED=${seed}:${input}`, { cause: error });
    }
  }
  return tally;
}

function livingBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function textOf(tally: ReadonlyMap<string, number>): string {
  return Array.from(tally, ([outcome, count]) => `${outcome} ${count}`)
    .sort()
    .join(', ');
}

/** The outcome of `work`: `read`, or the code of its fault. Throws what is no acceptable end. */
export function outcomeOf(work: () => unknown): string {
  try {
    work();
    return 'read';
  } catch (error) {
    return refusalIn(error);
  }
}

/** As {@link outcomeOf}, for what takes time. May be awaited when the server has had its say. */
export function outcomeIn(work: () => Promise<unknown>): Promise<string> {
  const outcome = Promise.try(work).then(() => 'read', refusalIn);
  outcome.catch(() => undefined); // awaited later; unheard until then it would end the process
  return outcome;
}

/** The code of a fault that a server may cause. */
function refusalIn(error: unknown): string {
  if (!isFault(error) || error.kind === 'bug') throw error;
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (isCrash(cause)) throw new Error(`a crash disguised as ${error.code}`, { cause });
  }
  return error.code;
}

const BUILT_IN: readonly string[] = [
  'TypeError',
  'RangeError',
  'SyntaxError',
  'ReferenceError',
  'AssertionError',
];

/** Bad UTF-8 is a TypeError by the standard. */
function isCrash(error: Error): boolean {
  return (
    BUILT_IN.includes(error.name) &&
    (error as NodeJS.ErrnoException).code !== 'ERR_ENCODING_INVALID_ENCODED_DATA'
  );
}
