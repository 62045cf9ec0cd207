import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stress } from './stress.fixture.ts';

for (const seed of [11, 12]) {
  test(`four writers, pruning, the collector and readers at once on a store that fails: seed ${seed}`, async (t) => {
    const stress = new Stress(seed);
    for (const faultRate of [0, 0.004, 0.01]) await stress.round(10, faultRate);
    t.diagnostic(JSON.stringify(stress.tally));
    const { commits, drops, deletedPacks, restores, failures } = stress.tally;
    assert.ok(Math.min(commits, drops, deletedPacks, restores, failures) > 0, 'everybody came to something');
  });
}
