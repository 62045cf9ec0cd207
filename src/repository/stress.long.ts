/** The stress of stress.test.ts for an hour, or `HVLIFT_STRESS_MINUTES`, each time with a new seed, which a failure names. */
import { test } from 'node:test';
import { playStresses } from './stress-threads.fixture.ts';

const MINUTES = Number(process.env['HVLIFT_STRESS_MINUTES'] ?? 60);

void test(
  'four writers, pruning, the collector, verification and readers at once, for long',
  { timeout: 2 * MINUTES * 60_000 },
  async (t) => {
    const end = Date.now() + MINUTES * 60_000;
    let seed = Date.now() % 1_000_000_000;
    const next = () => (Date.now() < end ? { seed: (seed += 1), steps: 1000 } : undefined);
    t.diagnostic(`seeds from ${seed + 1}`);
    t.diagnostic(JSON.stringify(await playStresses(next)));
  },
);
