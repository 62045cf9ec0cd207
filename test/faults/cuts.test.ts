/**
 * A run is cut at every one of its calls to the host and at every one that writes into the repository: a first backup, a full,
 * an incremental, and one that has lost the tracking of a disk. The next run mends it: the restore points of both are exact,
 * the mark of the run before stands until there is a newer one, nothing of ours is left on the host but one mark, and what
 * belongs to others stands. After each of the two runs the invariants of docs/architecture.md are checked by name.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { CUT_SCENARIOS, Cuts, type CutScenario } from './cuts.ts';

const CUTS_MIN = 300;

/** Steps whose order matters: every scenario is cut on both sides of each. */
const STEPS = [
  'CreateSnapshot',
  'ModifySystemSettings',
  'ConvertToReferencePoint',
  'putNew journal/',
  'putNew points/',
  'putNew baselines/',
  'delete journal/',
  'delete locks/',
];
/** Those of the mark before, where there is one. */
const LAST_STEPS = ['DestroyReferencePoint', 'delete baselines/'];

function missing(cuts: readonly string[], steps: readonly string[]): string[] {
  return steps
    .flatMap((step) => [`before ${step}`, `after ${step}`])
    .filter((side) => !cuts.some((cut) => cut.startsWith(side)));
}

async function cutEverywhere(t: TestContext, scenario: CutScenario): Promise<number> {
  await using cuts = new Cuts(scenario);
  const made = await Array.fromAsync(cuts.all());
  t.diagnostic(`${made.length} cut points`);
  assert.deepEqual(missing(made, [...STEPS, ...(scenario.continued ? LAST_STEPS : [])]), []);
  return made.length;
}

/** Two at a time: each waits for the files of its host a third of its time. */
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
