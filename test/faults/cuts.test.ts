/**
 * A run is cut at every one of its calls to the host and at every one that writes into the repository: a first backup, a full,
 * an incremental, and one that has lost the tracking of a disk. The next run mends it: the restore points of both are exact,
 * the mark of the run before stands until there is a newer one, nothing of ours is left on the host but one mark, and what
 * belongs to others stands. After each of the two runs the invariants of docs/architecture.md are checked by name.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Cut } from './cutter.ts';
import { CUT_SCENARIOS, missingSides, type CutScenario } from './cuts.ts';

const CUTS_MIN = 300;

/** In a thread of its own: node:test follows every promise of the one it runs in, which costs as much as the run itself. */
async function cutsOf(scenario: CutScenario): Promise<readonly string[]> {
  const worker = new Worker(new URL('./cutter.ts', import.meta.url), { workerData: scenario.name });
  try {
    const [cut] = (await once(worker, 'message')) as [Cut];
    if ('failure' in cut) throw new Error(cut.failure);
    return cut.made;
  } finally {
    await worker.terminate();
  }
}

async function cutEverywhere(t: TestContext, scenario: CutScenario): Promise<number> {
  const made = await cutsOf(scenario);
  t.diagnostic(`${made.length} cut points`);
  assert.deepEqual(missingSides(made, scenario), []);
  return made.length;
}

/** One a processor of a small machine. */
const TOGETHER = { concurrency: 2 };

test(
  'a run that is cut at any call to the host or any change of the repository is mended by the next',
  TOGETHER,
  async (t) => {
    const counts: number[] = [];
    const cut = (scenario: CutScenario): Promise<void> =>
      t.test(scenario.name, async (each) => {
        counts.push(await cutEverywhere(each, scenario));
      });
    await Promise.all(CUT_SCENARIOS.map(cut));
    const total = counts.reduce((sum, count) => sum + count, 0);
    t.diagnostic(`${total} cut points`);
    assert.ok(total >= CUTS_MIN, `${total} cut points`);
  },
);
