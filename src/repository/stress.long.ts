/** The stress of stress.test.ts for an hour, or `HVLIFT_STRESS_MINUTES`, each round with a new seed, which a failure names. */
import { test } from 'node:test';
import { Stress } from './stress.fixture.ts';

const MINUTES = Number(process.env['HVLIFT_STRESS_MINUTES'] ?? 60);

void test(
  'four writers, pruning, the collector and readers at once, for long',
  { timeout: 2 * MINUTES * 60_000 },
  async (t) => {
    const end = Date.now() + MINUTES * 60_000;
    for (let seed = Date.now() % 1_000_000; Date.now() < end; seed += 1) {
      await t.test(`seed ${seed}`, async (each) => {
        const stress = new Stress(seed);
        for (const faultRate of [0, 0.004, 0.01, 0.03]) await stress.round(12, faultRate);
        each.diagnostic(JSON.stringify(stress.tally));
      });
    }
  },
);
