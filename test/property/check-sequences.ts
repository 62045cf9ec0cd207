/**
 * Draws sequences, plays them in threads, and when one fails makes it small and says how to see it again.
 *
 *   HVLIFT_SEED=1234         the same sequences as a run that began with this seed
 *   HVLIFT_SEED=1234:5:0:1   the one sequence that a failure named, made small already
 *   HVLIFT_SEQUENCES=20000   how many
 *
 * Threads, and not only for the second processor: node:test follows every promise of the thread it runs in, which makes a
 * sequence twice as expensive there.
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Tally } from './tally.ts';
import type { Lane, Played } from './player.ts';

/** Sequences drawn one after the other; not by the number of processors, so that a seed means the same everywhere. */
const LANES = 4;
const PLAYER = new URL('./player.ts', import.meta.url);

export interface Drawn {
  readonly count: number;
  /** The same sequences every time; without it others each time. */
  readonly seed?: number;
  /** The test that draws, for the command that plays a failure again. */
  readonly file: string;
}

export interface Checked {
  readonly tally: Tally;
  readonly seed: number;
  /** Sequences that were played. */
  readonly count: number;
}

/** @throws the first failure, with the smallest sequence found that fails in this way */
export async function checkSequences({ count: usual, seed: fixed, file }: Drawn): Promise<Checked> {
  const count = Number(process.env['HVLIFT_SEQUENCES'] ?? usual);
  const [given, ...path] = (process.env['HVLIFT_SEED'] ?? '').split(':');
  const seed = given ? Number(given) : (fixed ?? Math.floor(Math.random() * 2 ** 31));
  const lanes = path.length > 0 ? [{ seed, path: path.join(':'), count }] : lanesOf(seed, count);
  const tally = await playLanes(lanes, file);
  return { tally, seed, count };
}

function lanesOf(seed: number, count: number): Lane[] {
  const lanes = Math.min(LANES, count);
  return Array.from({ length: lanes }, (_, lane) => ({
    seed: seed + lane,
    count: Math.floor((count + lane) / lanes),
  }));
}

/** Each thread has its share of the lanes; the first failure ends them all. */
async function playLanes(lanes: readonly Lane[], file: string): Promise<Tally> {
  const threads = Math.min(lanes.length, availableParallelism());
  const players = Array.from({ length: threads }, (_, index) => {
    const share = lanes.filter((_lane, lane) => lane % threads === index);
    return new Worker(PLAYER, { workerData: share });
  });
  const tally = new Tally();
  try {
    await Promise.all(
      players.map(async (player) => {
        const [played] = (await once(player, 'message')) as [Played];
        if ('failure' in played) throw new Error(again(played, file));
        tally.add(played.counts);
      }),
    );
    return tally;
  } finally {
    await Promise.all(players.map((player) => player.terminate()));
  }
}

function again({ failure, seed }: Extract<Played, { failure: string }>, file: string): string {
  return `${failure}\n\nagain: HVLIFT_SEED='${seed}' npm test -- ${file}\n`;
}
