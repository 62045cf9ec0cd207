/**
 * A thread that plays scenes, cuts them everywhere and judges what is left.
 *
 * A thread, since node:test follows every promise of the thread it runs in, which more than doubles what a state costs.
 */
import { parentPort } from 'node:worker_threads';
import { brokenPromise, powerCuts, withHeldBack } from '../objectstore/power-cut.fixture.ts';
import { Play } from './crash-play.fixture.ts';
import { SCENES } from './crash-scenes.fixture.ts';
import { randomFrom } from '../objectstore/seeded-random.fixture.ts';

export interface CutScene {
  readonly scene: string;
  readonly seed: number;
}

export interface CutTally {
  readonly operations: number;
  readonly states: number;
  /** States that leave other files than those before them: each was judged once. */
  readonly distinct: number;
  readonly failure?: string;
}

/** A point that comes back may lack what it needs: it was dropped. What else comes back must do no harm. */
const HELD_BACK = /^(index|packs|sessions|epoch|locks)\//;

parentPort!.on('message', (asked: CutScene) => {
  void cutEverywhere(asked).then((tally) => parentPort!.postMessage(tally, []));
});

async function cutEverywhere({ scene, seed }: CutScene): Promise<CutTally> {
  const { act, judge, options } = SCENES[scene]!;
  const play = await Play.start(options);
  await act(play);
  const { files, from } = play;
  const operations = [...files.operations];
  const seen = new Set<string>();
  let states = 0;
  const cuts = powerCuts(files, operations, { from, random: randomFrom(seed) });
  for (const cut of withHeldBack(cuts, HELD_BACK)) {
    states += 1;
    try {
      const broken = brokenPromise(cut);
      if (broken !== undefined) throw new Error(broken);
      if (seen.has(cut.key)) continue;
      seen.add(cut.key);
      await judge(play, cut);
    } catch (error) {
      const failure = `${cut.label}: ${(error as Error).stack}`;
      return { operations: operations.length - from, states, distinct: seen.size, failure };
    }
  }
  return { operations: operations.length - from, states, distinct: seen.size };
}
