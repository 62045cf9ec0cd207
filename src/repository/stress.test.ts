import assert from 'node:assert/strict';
import { test } from 'node:test';
import { playStresses } from './stress-threads.fixture.ts';

const SEED = Number(process.env['HVLIFT_SEED']?.split(':')[0] ?? 20_261_123);
/** Each begins with an empty repository, and grows it for 2,000 steps. */
const STRESSES = 10;

test(
  `four writers, pruning, the collector, verification and readers at once on a store that fails: 20,000 steps`,
  { timeout: 600_000 },
  async (t) => {
    let played = 0;
    const next = () => ((played += 1) <= STRESSES ? { seed: SEED + played, steps: 667 } : undefined);
    const tally = await playStresses(next);
    t.diagnostic(`seeds from ${SEED + 1}: ${JSON.stringify(tally)}`);
    const { failures, deaths, refusals: _refusals, requests: _requests, steps, ...done } = tally;
    assert.ok(steps >= 20_000);
    assert.ok(Math.min(failures, deaths, ...Object.values(done)) > 100, 'everybody came to something');
  },
);
